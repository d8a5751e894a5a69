// The sizes of a built page's files, plain and compressed.
//
//     node tests/browser/sizes.mjs web/dist
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

/// Files that a first visit doesn't download; it downloads one engine.
const LATER = /\.lexicon$|^trainer-|^lab-/;
const ENGINE = /^engine-\w+/;
/// Limits in compressed bytes: a first visit, its wasm, and an engine with training.
export const LIMITS = { all: 4e6, wasm: 3e6, trainer: 4e6 };

export async function sizes(dist) {
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const list = await Promise.all(files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    // As a host compresses what it keeps: once, as well as it can.
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    };
    const compressed = (await promisify(brotliCompress)(bytes, { params })).length;
    return { name: relative(dist, path), bytes: bytes.length, compressed };
  }));
  return list.sort((a, b) => b.compressed - a.compressed);
}

/// The downloads before the first score with the scene models on an engine.
export function firstVisit(list, engine) {
  const sum = (of) => of.reduce((total, file) => total + file.compressed, 0);
  const first = list.filter(({ name }) => !LATER.test(name) && (name.match(ENGINE)?.[0] ?? engine) === engine);
  return { all: sum(first), wasm: sum(first.filter((file) => file.name.endsWith(".wasm"))) };
}

/// The size of a program: `lab`, or an engine with training.
export const program = (list, name) => list.filter((file) => file.name.startsWith(`${name}-`)).reduce((total, file) => total + file.compressed, 0);

if (process.argv[1] === import.meta.filename) {
  const list = await sizes(process.argv[2] ?? "web/dist");
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
