// Starts the page's program, or with `?lab` the lab's. The build writes where they are into this script's tag: their names change
// with their content, and a script in the page itself is what the page's policy forbids.
const { program, wasm, wasmIntegrity, lab, labIntegrity } = document.querySelector("script[data-program]").dataset;
const place = (file) => new URL(file, document.baseURI);
if (new URLSearchParams(location.search).has("lab")) {
  // No script can be imported with a hash to hold it to; what follows at once comes from the cache.
  const hashes = labIntegrity.split(" ");
  const files = [lab, lab.replace("_loader.js", ".js")];
  await Promise.all(files.map((file, at) => fetch(place(file), { integrity: hashes[at] })));
  await import(place(lab));
} else {
  // The script was held to its hash when it was preloaded.
  const { default: init } = await import(place(program));
  await init({ module_or_path: fetch(place(wasm), { integrity: wasmIntegrity }) });
}
