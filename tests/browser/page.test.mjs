// The page in Chromium: its use, and its behavior on failures.
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { DIST, GOLDEN, judged, launch, visit, WEBGPU } from "./lib.mjs";
import { serve } from "./server.mjs";

/// Tolerance of displayed similarities between devices.
const SHOWN = 2e-3;

let browser, site;
before(async () => {
  site = await serve(DIST);
  browser = await launch("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const open = (options) => visit(browser, site, options);
const verdict = (page) => page.textContent("#verdict");
const captions = (page) => page.$$eval(".row textarea", (rows) => rows.map((row) => row.value));
const waitForVerdict = (page, words) => page.waitForFunction((words) => document.querySelector("#verdict").textContent.includes(words), words);

test("the built document has no inline code and no placeholders", () => {
  const html = readFileSync(`${DIST}/index.html`, "utf8");
  assert.doesNotMatch(html, /\{\{__trunk|\[\[|<script(?![^>]*\ssrc=)|\sstyle=|unsafe-inline/);
});

test("a visit: a sample, hard negatives, words, patches, the chart, alpha, and the address", async () => {
  const { context, page, problems } = await open({ query: "?engine=cpu" });
  await judged(page);
  assert.match(await page.textContent("#engine"), /CPU/);
  assert.equal((await captions(page)).length, 2);

  await page.click(".make");
  await page.waitForFunction(() => document.querySelectorAll(".made").length === 3);
  assert.ok((await page.$$(".behind mark")).length >= 3);

  await page.getByRole("button", { name: "Which words matter" }).first().click();
  await page.waitForSelector(".word");
  const words = (await captions(page))[0].split(" ");
  assert.deepEqual(await page.$$eval(".word span", (list) => list.map((word) => word.textContent)), words);

  await page.getByRole("button", { name: "Where it looks" }).first().click();
  await page.waitForFunction(() => document.querySelectorAll(".heat rect").length === 36);
  assert.match(await page.textContent("#heat-note"), /Approximate/);

  await page.click(".column > .card:nth-child(2) summary");
  await page.waitForFunction(() => document.querySelectorAll(".chart circle").length === 11);

  const similarity = () => page.textContent(".similarity .value");
  const before = await similarity();
  await page.focus("#alpha");
  await page.keyboard.press("Home");
  await page.waitForFunction((old) => document.querySelector(".similarity .value").textContent !== old, before);
  assert.match(page.url(), /[#&]a=0&/);

  const kept = [await captions(page), await similarity()];
  const again = await open({ query: "?engine=cpu", hash: new URL(page.url()).hash });
  await judged(again.page);
  assert.deepEqual([await captions(again.page), await again.page.textContent(".similarity .value")], kept);
  assert.deepEqual([...problems, ...again.problems], []);
  await context.close();
  await again.context.close();
});

test("captions by keyboard, and in the order of their scores", async () => {
  const { context, page, problems } = await open({ hash: "#s=0&c=a+red+ball" });
  await page.focus(".row textarea");
  await page.keyboard.press("Enter");
  await page.keyboard.type("an orange heart right of a huge pink cross");
  await waitForVerdict(page, "Best match: “an orange heart");
  await page.keyboard.press("Enter");
  assert.equal((await captions(page)).length, 3);
  await page.keyboard.press("Backspace");
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 2);
  await page.getByLabel("Best match first").check();
  await page.waitForFunction(() => document.querySelector(".row textarea").value.startsWith("an orange"));
  await page.getByRole("button", { name: "Mark as wrong" }).last().click();
  await waitForVerdict(page, "Prefers the right caption");
  assert.deepEqual(problems, []);
  await context.close();
});

test("users' pictures, and a file that isn't one", async () => {
  const { context, page, problems } = await open();
  await judged(page);
  await page.setInputFiles("#files", { name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForSelector(".notice");
  assert.match(await page.textContent(".notice"), /broken\.png: not an image/);
  const sample = await page.getAttribute(".shown", "src");
  const buffer = Buffer.from(sample.split(",")[1], "base64");
  await page.setInputFiles("#files", ["one.png", "two.png"].map((name) => ({ name, mimeType: "image/png", buffer })));
  await page.waitForFunction(() => document.querySelectorAll(".thumb").length === 3);
  await page.waitForFunction(() => document.querySelector("figcaption").textContent.includes("one.png288"));
  assert.deepEqual(problems, []);
  await context.close();
});

test("pictures dropped, pasted and taken, and saved results", async () => {
  const { context, page, problems } = await open();
  await judged(page);
  const png = readFileSync(`${GOLDEN}/images/square-circle.png`).toString("base64");
  for (const kind of ["drop", "paste"]) {
    await page.evaluate(
      async ([kind, png]) => {
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
        const options = { bubbles: true, cancelable: true };
        const event = kind === "drop" ? new DragEvent("drop", { ...options, dataTransfer: data }) : new ClipboardEvent("paste", { ...options, clipboardData: data });
        document.body.dispatchEvent(event);
      },
      [kind, png],
    );
    await page.waitForFunction((name) => document.querySelector("figcaption").textContent.includes(`${name}.png96 × 64`), kind);
  }
  await page.getByRole("button", { name: "Take a photo" }).click();
  await page.waitForFunction(() => document.querySelector("video")?.videoWidth > 0);
  await page.click("#take");
  await page.waitForFunction(() => /photo\d+ × \d+/.test(document.querySelector("figcaption").textContent));
  assert.equal(await page.$("video"), null);
  await judged(page);
  for (const kind of ["JSON", "PNG"]) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`.export button:has-text("${kind}")`)]);
    const file = await download.path();
    const bytes = readFileSync(file);
    if (kind === "JSON") assert.equal(JSON.parse(bytes).picture, "photo");
    else assert.equal(bytes.subarray(1, 4).toString(), "PNG");
    rmSync(file);
  }
  assert.deepEqual(problems, []);
  await context.close();
});

test("an engine that stops is restarted, and finally the page reports the failure", async () => {
  const { context, page } = await open({ query: "?engine=cpu" });
  await judged(page);
  const crash = () => page.workers().at(-1).evaluate(() => void setTimeout(() => { throw new Error("out of order"); }));
  await crash();
  await page.waitForFunction(() => document.querySelector("#engine").textContent.includes("restarted"));
  await crash();
  await page.waitForSelector(".lamp.failed");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForSelector(".lamp.runs");
  await page.fill(".row textarea", "a blue sheep");
  await waitForVerdict(page, "Prefers the wrong caption");
  await context.close();
});

test("if WebGPU is requested but missing, the CPU computes, and the page shows why", async () => {
  const { context, page } = await open({ query: "?engine=gpu" });
  assert.match(await page.textContent("#engine"), /CPU.*WebGPU failed/);
  await judged(page);
  await context.close();
});

for (const width of [360, 1400]) {
  test(`at ${width} pixels nothing is cut off`, async () => {
    const { context, page } = await open({ viewport: { width, height: 800 }, colorScheme: "dark" });
    await judged(page);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth), 0);
    await context.close();
  });
}

test("a second visit works offline", async () => {
  const own = await serve(DIST);
  const { context, page } = await visit(browser, own);
  await judged(page);
  await page.waitForFunction(async () => {
    const names = await caches.keys();
    if (names.length !== 1) return false;
    const kept = (await (await caches.open(names[0])).keys()).map((request) => request.url);
    return [/_bg\.wasm$/, /\.css$/, /start-\w+\.js$/, /\/some\/path\/$/].every((end) => kept.some((url) => end.test(url))) && kept.filter((url) => url.endsWith("_bg.wasm")).length === 2;
  });
  await own.close();
  await context.setOffline(true);
  await page.reload();
  await judged(page);
  assert.match(await verdict(page), /Prefers/);
  await context.close();
});

test("the service worker deletes its own deployment's old caches and no other's", async () => {
  const own = await serve(DIST);
  const context = await browser.newContext();
  const page = await context.newPage();
  // Any file of the site: the caches belong to the origin.
  await page.goto(`${own.url}service-worker.js`);
  const place = new URL(own.url);
  const beside = new URL("../other/", place).href;
  const below = new URL("below/", place).href;
  // Each name with the page in its cache. Earlier versions had no scope in the name.
  const old = [[`clove ${place.href} old`, place.href], ["clove-0123456789abcdef", place.href]];
  const others = [
    [`clove ${beside} new`, beside],
    [`clove ${below} new`, below],
    ["clove-fedcba9876543210", beside],
    ["clove-of-another-program", below],
    ["lab-runs", `${place.href}lab-run/1`],
  ];
  await page.evaluate(async (all) => {
    for (const [name, url] of all) await (await caches.open(name)).put(url, new Response("old"));
  }, [...old, ...others]);
  await page.goto(own.url);
  await judged(page);
  await page.waitForFunction(async (gone) => {
    const names = await caches.keys();
    return names.some((name) => name.startsWith(`clove ${location.origin}/some/path/ `)) && !gone.some((name) => names.includes(name));
  }, old.map(([name]) => name));
  const names = await page.evaluate(() => caches.keys());
  assert.deepEqual(others.map(([name]) => name).filter((name) => !names.includes(name)), []);
  assert.equal(names.length, others.length + 1);
  await context.close();
  await own.close();
});

test("on WebGPU: preprocessing on the GPU gives the CPU's scores, and the engine survives a lost GPU", async (context) => {
  const gpu = await launch(...WEBGPU);
  context.after(() => gpu.close());
  const scored = async (page) => {
    await judged(page);
    const before = await page.textContent(".similarity .value");
    await page.setInputFiles("#files", `${GOLDEN}/images/square-circle.png`);
    await page.waitForFunction((old) => document.querySelectorAll(".thumb").length === 2 && document.querySelector(".verdict.right, .verdict.wrong") && document.querySelector(".similarity .value").textContent !== old, before, { timeout: 60_000 });
    // The page writes a true minus.
    return page.$$eval(".similarity .value", (list) => list.map((value) => Number(value.textContent.replace("−", "-"))));
  };
  const cpu = await open({ query: "?engine=cpu" });
  const expected = await scored(cpu.page);
  await cpu.context.close();
  const { page, problems } = await visit(gpu, site, { query: "?engine=gpu&preprocess=gpu" });
  assert.match(await page.textContent("#engine"), /WebGPU .*SwiftShader/i);
  const values = await scored(page);
  assert.ok(values.length >= 2 && values.length === expected.length);
  for (const [at, value] of values.entries()) assert.ok(Math.abs(value - expected[at]) <= SHOWN, `${values} and ${expected}`);
  assert.deepEqual(problems, []);

  // It restarts, the second time on the CPU.
  const session = await gpu.newBrowserCDPSession();
  for (const after of ["restarted", "WebGPU failed"]) {
    // Simulates a driver's failure: ends the browser's GPU process.
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    for (const { type, id } of processInfo) if (type === "GPU") process.kill(id, "SIGKILL");
    await page.fill(".row textarea", `a red ball, ${after}`);
    await page.waitForFunction((words) => document.querySelector("#engine").textContent.includes(words), after, { timeout: 60_000 });
    await page.waitForSelector(".lamp.runs", { timeout: 60_000 });
    await judged(page);
  }
  assert.match(await page.textContent("#engine"), /on your CPU/);
});

test("the benchmark measures", async () => {
  const { context, page, problems } = await visitBench();
  await page.click("#measure");
  await page.waitForSelector("#measured[data-done=true]", { timeout: 180_000 });
  const cells = await page.$$eval("#measured tbody td", (list) => list.map((cell) => cell.textContent));
  assert.equal(cells.length, 7);
  // The CPU has no preprocessing kernels.
  assert.equal(cells.pop(), "–");
  assert.ok(cells.every((milliseconds) => Number(milliseconds) > 0), `${cells}`);
  assert.deepEqual(problems, []);
  await context.close();
});

async function visitBench() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(`${site.url}?bench`);
  return { context, page, problems };
}
