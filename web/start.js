// Starts the page's program, or the lab's with `?lab`. The build writes their names, which contain content hashes, into this script's
// tag. The content security policy forbids inline scripts.
const { program, wasm, wasmIntegrity, lab, labIntegrity } = document.querySelector("script[data-program]").dataset;
const place = (file) => new URL(file, document.baseURI);
if (new URLSearchParams(location.search).has("lab")) {
  // Imports take no hash: check the files' hashes first, then import them from the cache.
  const hashes = labIntegrity.split(" ");
  const files = [lab, lab.replace("_loader.js", ".js")];
  await Promise.all(files.map((file, at) => fetch(place(file), { integrity: hashes[at] })));
  await import(place(lab));
} else {
  // The preload has checked the script's hash.
  const { default: init } = await import(place(program));
  await init({ module_or_path: fetch(place(wasm), { integrity: wasmIntegrity }) });
}
