// Shared helpers: the built page, a browser, an engine, a running page.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { chromium } from "playwright-core";

export const DIST = process.env.CLOVE_DIST ?? new URL("../../web/dist", import.meta.url).pathname;
export const GOLDEN = new URL("../golden/tiny-clip", import.meta.url).pathname;
/// WebGPU in software.
export const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
/// Tolerance of embeddings, which are unit vectors: another order of summation differs by 1e-6, a wrong kernel by far more.
export const TOLERANCE = { "trainer-cpu": 1e-4, "trainer-gpu": 1e-3 };

export const launch = (...flags) =>
  chromium.launch({
    executablePath: process.env.CLOVE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-background-networking", ...flags],
  });

/// The built file whose name matches.
export const file = (pattern) => readdirSync(DIST).find((name) => pattern.test(name));
/// The script that starts a worker, in its folder.
const script = (engine) => `${file(new RegExp(`^${engine}-`))}/${engine}_loader.js`;

/// Chromium's own message without a GPU.
const NO_GPU = /No available adapters/;

/// Starts an engine on the site's origin. Collects console errors in `problems`.
export async function engine(browser, site, name) {
  const page = await browser.newPage();
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  const started = page.waitForEvent("worker");
  // Any file of the site: a worker needs the origin.
  await page.goto(`${site.url}service-worker.js`);
  await page.evaluate(async (url) => {
    const worker = new Worker(url, { type: "module" });
    const waiting = new Map();
    let ready;
    const started = new Promise((resolve) => (ready = resolve));
    worker.onerror = (event) => {
      for (const { reject } of waiting.values()) reject(new Error(event.message));
    };
    worker.onmessage = ({ data: [text, bytes] }) => {
      if (text === "ready") return ready();
      const { id, answer } = JSON.parse(text);
      if (answer.Progress) return;
      waiting.get(id).resolve([answer, bytes && Array.from(bytes)]);
      waiting.delete(id);
    };
    let next = 0;
    window.ask = (ask, bytes = null, files = []) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage([JSON.stringify({ id, ask }), bytes, files]);
      });
    window.open = async (models) => {
      const fetched = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
      const both = await Promise.all(models.map(fetched));
      const bytes = new Uint8Array(await new Blob(both).arrayBuffer());
      return (await window.ask({ Open: { pretrained: both[0].length } }, bytes))[0];
    };
    await started;
  }, site.url + script(name));
  const models = [/^pretrained-.*\.safetensors$/, /\.deltas$/].map((end) => site.url + file(end));
  const worker = await started;
  return {
    page,
    problems,
    worker,
    /// Counts the bytes of GPU buffers from now on, as `buffers` in the worker.
    countBuffers: () =>
      worker.evaluate(() => {
        self.buffers = { bytes: 0, count: 0 };
        if (!self.GPUDevice) return;
        const create = GPUDevice.prototype.createBuffer;
        const gone = new FinalizationRegistry((size) => ((self.buffers.bytes -= size), self.buffers.count--));
        GPUDevice.prototype.createBuffer = function (descriptor) {
          const buffer = create.call(this, descriptor);
          self.buffers.bytes += descriptor.size;
          self.buffers.count++;
          gone.register(buffer, descriptor.size, buffer);
          return buffer;
        };
        const destroy = GPUBuffer.prototype.destroy;
        GPUBuffer.prototype.destroy = function () {
          if (gone.unregister(this)) (self.buffers.bytes -= this.size), self.buffers.count--;
          return destroy.call(this);
        };
      }),
    open: () => page.evaluate((models) => window.open(models), models),
    /// Asks, with `bytes` and `files` ([name, bytes]). Returns the answer and its bytes.
    ask: (ask, { bytes = null, files = [] } = {}) =>
      page.evaluate(
        async ([ask, bytes, files]) => {
          const decode = async (text) => new Uint8Array(await (await fetch(`data:;base64,${text}`)).arrayBuffer());
          const list = [];
          for (const [name, content] of files) list.push(new File([await decode(content)], name));
          return window.ask(ask, bytes && (await decode(bytes)), list);
        },
        [ask, bytes && Buffer.from(bytes).toString("base64"), files.map(([name, content]) => [name, content.toString("base64")])],
      ),
    close: () => page.close(),
  };
}

/// A page with a running engine, in its own profile. Collects errors and requests to other origins in `problems`.
export async function visit(browser, site, { query = "", hash = "", allowed = [], ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !NO_GPU.test(message.text())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  const ours = [site.url, ...allowed];
  context.on("request", (request) => {
    const url = request.url();
    if (!ours.some((start) => url.startsWith(start)) && !/^(data|blob):/.test(url)) problems.push(`fetched ${url}`);
  });
  await page.goto(site.url + query + hash);
  await page.waitForSelector(".lamp.runs", { timeout: 60_000 });
  return { context, page, problems };
}

/// Like [visit], for the lab.
export const lab = (browser, site, options) => visit(browser, site, { acceptDownloads: true, ...options });

/// Waits until the captions are scored.
export const judged = (page, timeout = 30_000) => page.waitForSelector(".verdict.right, .verdict.wrong", { timeout });

/// Answers and runs a lesson; ends at the list of lessons.
export async function lesson(page, title) {
  await page.locator(".lesson-card h2 a", { hasText: title }).click();
  await page.waitForSelector("#run-lesson");
  assert.ok(await page.locator("#run-lesson").isDisabled(), `${title}: before an answer`);
  await page.locator(".answer input").nth(1).check();
  assert.match(page.url(), /&q=1/);
  await page.locator("#run-lesson:not([disabled])").click();
  await page.waitForSelector("#happened");
  const happened = await page.locator("#happened").textContent();
  assert.match(happened, /\d/, title);
  assert.doesNotMatch(happened, /–|NaN/, `${title}: ${happened}`);
  assert.match(await page.locator(".said").textContent(), /You said/);
  assert.match(await page.locator(".paper a").getAttribute("href"), /^https:\/\/arxiv\.org\/abs\//);
  await page.locator(".crumbs a").click();
  await page.waitForSelector(".lesson-list");
}
