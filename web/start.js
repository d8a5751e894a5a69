// Starts the page's program. The build writes where it is into this script's tag: its names change with its content, and a
// script in the page itself is what the page's policy forbids. The script was held to its hash when it was preloaded.
const { program, wasm, wasmIntegrity } = document.querySelector("script[data-program]").dataset;
const { default: init } = await import(new URL(program, document.baseURI));
await init({ module_or_path: fetch(new URL(wasm, document.baseURI), { integrity: wasmIntegrity }) });
