// What a visitor fetches: every file of a built page, as it is and as a server sends it compressed.
//
//     node tests/browser/sizes.mjs web/dist
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

/// What comes on demand, and so isn't part of a first visit; of the engines one is.
const LATER = /\.lexicon$|^trainer-|^lab-/;
const ENGINE = /^engine-\w+/;
/// In bytes, compressed: everything of a first visit, its wasm, and an engine that trains.
export const LIMITS = { all: 4e6, wasm: 3e6, trainer: 4e6 };

export function sizes(dist) {
  const list = [];
  const walk = (folder, prefix) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const name = prefix + entry.name;
      if (entry.isDirectory()) {
        walk(path, `${name}/`);
        continue;
      }
      const bytes = readFileSync(path);
      // As a host compresses what it keeps: once, as well as it can.
      const params = {
        [constants.BROTLI_PARAM_QUALITY]: 11,
        [constants.BROTLI_PARAM_LGWIN]: 24,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      };
      const compressed = brotliCompressSync(bytes, { params }).length;
      list.push({ name, bytes: bytes.length, compressed });
    }
  };
  walk(dist, "");
  return list.sort((a, b) => b.compressed - a.compressed);
}

/// What is fetched before the first score with the bundled models on an engine.
export function firstVisit(list, engine) {
  const sum = (of) => of.reduce((total, file) => total + file.compressed, 0);
  const first = list.filter(({ name }) => !LATER.test(name) && (name.match(ENGINE)?.[0] ?? engine) === engine);
  return { all: sum(first), wasm: sum(first.filter((file) => file.name.endsWith(".wasm"))) };
}

/// What the lab fetches in other programs' place: `lab` for the page, and an engine that trains.
export const program = (list, name) => list.filter((file) => file.name.startsWith(`${name}-`)).reduce((total, file) => total + file.compressed, 0);

if (process.argv[1] === import.meta.filename) {
  const list = sizes(process.argv[2] ?? "web/dist");
  const row = (...cells) => console.log(cells.map((cell, at) => (at ? String(cell).padStart(12) : cell.padEnd(60))).join(""));
  row("file", "bytes", "brotli");
  for (const file of list) row(file.name, file.bytes, file.compressed);
  for (const engine of ["engine-cpu", "engine-gpu"]) {
    const { all, wasm } = firstVisit(list, engine);
    row(`first visit with ${engine}`, "", all, `of ${LIMITS.all}`);
    row("  its wasm", "", wasm, `of ${LIMITS.wasm}`);
  }
  for (const name of ["lab", "trainer-cpu", "trainer-gpu"]) row(name, "", program(list, name), name === "lab" ? "" : `of ${LIMITS.trainer}`);
}
