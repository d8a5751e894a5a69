// Starts the page's program. The build writes where it is into this script's tag: its names change with its content, and a
// script in the page itself is what the page's policy forbids.
const { program, wasm } = document.querySelector("script[data-program]").dataset;
const { default: init } = await import(new URL(program, document.baseURI));
await init({ module_or_path: new URL(wasm, document.baseURI) });
