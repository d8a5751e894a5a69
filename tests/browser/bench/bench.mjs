// The page's benchmark in Chromium and onnxruntime-web in the same browser, as a Markdown table.
//
//     node tests/browser/bench/bench.mjs [--dist web/dist] [--onnx FOLDER] [--webgpu]
//
// FOLDER is from make_onnx.py. --webgpu includes the software adapter, which is far slower than a GPU.
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { launch, WEBGPU } from "../lib.mjs";
import { serve } from "../server.mjs";

const { values } = parseArgs({
  options: {
    dist: { type: "string", default: new URL("../../../web/dist", import.meta.url).pathname },
    onnx: { type: "string" },
    webgpu: { type: "boolean", default: false },
  },
});

/// The rows of the page's table: [engine, first score, image, caption, image, caption].
async function ours(browser) {
  const site = await serve(values.dist);
  const page = await browser.newPage();
  try {
    await page.goto(`${site.url}?bench`);
    await page.click("#measure");
    await page.waitForSelector("#measured[data-done=true]", { timeout: 600_000 });
    return await page.$$eval("#measured tbody tr:has(th)", (rows) => rows.map((row) => [row.querySelector("th").innerText.replace(/\s+/g, " ").trim(), ...[...row.querySelectorAll("td")].map((cell) => cell.textContent)]));
  } finally {
    await page.close();
    await site.close();
  }
}

const line = (...cells) => console.log(`| ${cells.join(" | ")} |`);
const browser = await launch();
try {
  console.log(`Chromium ${browser.version()}, ${cpus()[0].model}, ${cpus().length} cores. Milliseconds, medians.\n`);
  line("engine", "first score", "scenes: image", "caption", "ViT-B/32: image", "caption of 16 tokens");
  line("---", "---:", "---:", "---:", "---:", "---:");
  const rows = await ours(browser);
  if (values.webgpu) {
    const gpu = await launch(...WEBGPU);
    const both = await ours(gpu);
    await gpu.close();
    rows.push(...both.filter(([engine]) => engine.startsWith("WebGPU")));
  }
  for (const row of rows) line(...row);
  if (values.onnx) {
    const { onnx } = await import("./onnx.mjs");
    const theirs = await onnx(browser, values.onnx);
    line(`onnxruntime-web ${theirs.version}, WASM, one thread`, "", "", "", theirs.image.toFixed(0), theirs.text16.toFixed(0));
    const cpu = rows.find(([engine]) => engine.startsWith("CPU"));
    const ratio = (ours, theirs) => (Number(ours) / theirs).toFixed(2);
    line("ours on the CPU / onnxruntime-web", "", "", "", ratio(cpu[4], theirs.image), ratio(cpu[5], theirs.text16));
  }
} finally {
  await browser.close();
}
