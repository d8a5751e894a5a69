// Times onnxruntime-web on the towers of CLIP ViT-B/32, on one thread, in the same Chromium. make_onnx.py writes the folder.
//
//     node tests/browser/bench/onnx.mjs FOLDER [wasm|webgpu]
import { chromium } from "playwright-core";
import { serve } from "../server.mjs";

/// A software adapter takes seconds per image, so it runs once.
const AMOUNTS = { wasm: { warmUps: 2, runs: 10, batch: 8 }, webgpu: { warmUps: 1, runs: 1, batch: 0 } };
const FLAGS = { wasm: [], webgpu: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] };

/// Resolves to { version, image, text, text16, imageBatch, openMs, fastest }, in milliseconds: medians for an image, a caption of
/// 77 tokens, one of 16, and an image of a batch of 8 (not on WebGPU); the time to open both sessions; and the fastest runs.
export async function onnx(browser, folder, provider = "wasm") {
  const site = await serve(import.meta.dirname, { models: folder });
  const page = await browser.newPage();
  try {
    // Any file of the site: a worker needs the origin.
    await page.goto(`${site.url}onnx_worker.mjs`);
    const answer = await page.evaluate(
      ([url, options]) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(url, { type: "module" });
          worker.onerror = (event) => reject(new Error(event.message));
          worker.onmessage = ({ data }) => resolve(data);
          worker.postMessage(options);
        }),
      [`${site.url}onnx_worker.mjs`, { provider, models: `${site.url}models/`, ...AMOUNTS[provider] }],
    );
    if (answer.error) throw new Error(answer.error);
    return answer;
  } finally {
    await page.close();
    await site.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  const [folder, provider = "wasm"] = process.argv.slice(2);
  if (!folder || !FLAGS[provider]) {
    console.error("node tests/browser/bench/onnx.mjs FOLDER [wasm|webgpu]");
    process.exit(2);
  }
  const browser = await chromium.launch({
    executablePath: process.env.CLOVE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-background-networking", ...FLAGS[provider]],
  });
  try {
    const result = await onnx(browser, folder, provider);
    console.log(JSON.stringify(result));
    console.log(`onnxruntime-web ${result.version}, ${provider}, Chromium ${browser.version()}`);
    const row = (name, median, fastest) => console.log(name.padEnd(24) + [median, fastest].map((ms) => (ms?.toFixed(1) ?? "").padStart(12)).join(""));
    console.log(`${"ms".padEnd(24)}${"median".padStart(12)}${"fastest".padStart(12)}`);
    row("image", result.image, result.fastest.image);
    if (result.imageBatch) row("image, of a batch of 8", result.imageBatch, result.fastest.imageBatch);
    row("caption, 77 tokens", result.text, result.fastest.text);
    row("caption, 16 tokens", result.text16, result.fastest.text16);
    row("both sessions", result.openMs);
  } finally {
    await browser.close();
  }
}
