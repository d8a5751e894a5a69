// The wasm build's negatives against the digests that the native tests hold.
//
//     node tests/wasm/negatives.mjs FILE.wasm tests/golden/negatives.json
import { readFileSync } from "node:fs";

const [wasm, golden] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(wasm), {});
const { captions, digests } = JSON.parse(readFileSync(golden, "utf8"));
let failed = 0;
for (const [place, { style, digest }] of digests.entries()) {
  // A u64 comes as a signed BigInt.
  const found = BigInt.asUintN(64, instance.exports.digest(place, 0, captions)).toString(16).padStart(16, "0");
  if (found !== digest) {
    failed += 1;
    console.error(`${style}: ${found} in wasm, ${digest} natively`);
  }
}
console.log(`${digests.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
