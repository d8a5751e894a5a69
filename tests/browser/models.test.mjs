// Users' models in Chromium: from disk, and from a hub with network faults.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DIST, GOLDEN, judged, launch, visit } from "./lib.mjs";
import { serveHub } from "./hub.mjs";
import { serve } from "./server.mjs";

const HF = join(GOLDEN, "hf");
const WEIGHTS = "model.safetensors";
const SIZE = statSync(join(HF, WEIGHTS)).size;

let browser, site, hub;
before(async () => {
  site = await serve(DIST);
  hub = await serveHub(HF, join(GOLDEN, "manifest.json"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
  await hub?.close();
});

/// A page with the card of models open, and the test's hub.
async function visitor() {
  hub.requests.length = 0;
  hub.fault = () => undefined;
  const visited = await visit(browser, site, { query: `?hub=${encodeURIComponent(hub.url)}`, allowed: [hub.url] });
  await judged(visited.page);
  await visited.page.click(".models summary");
  return visited;
}

/// Checks a model's size, and starts its download.
async function fetchModel(page, name = "golden/tiny") {
  await page.fill("#place", name);
  await page.click(".look button[type=submit]");
  await page.waitForSelector("#found");
  const found = await page.textContent("#found");
  await page.click("#fetch");
  return found;
}

const trouble = async (page, timeout = 30_000) => {
  await page.waitForSelector("#model-trouble", { timeout });
  return page.textContent("#model-trouble p");
};
const keeps = (page, words) => page.waitForFunction((words) => document.querySelector("#kept")?.textContent.includes(words), words);
const openChosen = async (page, name) => {
  await page.click("#open-models");
  await page.waitForFunction((name) => document.querySelector("#model").textContent.startsWith(name), name);
  await page.waitForFunction(() => document.querySelector(".similarity .value").textContent !== "–");
};
const ranges = () => hub.requests.filter(({ pathname }) => pathname.endsWith(WEIGHTS)).map(({ range }) => range);

test("a model from a folder on this computer, and its fine-tuned version", async () => {
  const place = mkdtempSync(join(tmpdir(), "clove-models-"));
  cpSync(HF, join(place, "before"), { recursive: true });
  cpSync(HF, join(place, "after"), { recursive: true });
  const { context, page, problems } = await visitor();
  await page.setInputFiles("#model-folder", join(place, "before"));
  await page.waitForFunction(() => !document.querySelector("#open-models").disabled);
  await openChosen(page, "before:");
  assert.ok(await page.isDisabled("#alpha"));
  await page.setInputFiles("#model-folder", join(place, "after"));
  await openChosen(page, "before and its fine-tuned version after");
  assert.ok(await page.isEnabled("#alpha"));
  // Back to the scene models.
  await page.selectOption("#pretrained", { index: 0 });
  await openChosen(page, "Small models trained on drawn scenes");
  assert.deepEqual(problems, []);
  await context.close();
  rmSync(place, { recursive: true });
});

test("a model from a hub: the size is shown, an interrupted download resumes, a second visit needs no network", async () => {
  const { context, page, problems } = await visitor();
  let cuts = 0;
  hub.fault = (name) => (name === WEIGHTS && cuts++ < 2 ? { cut: 300_000 } : undefined);
  const found = await fetchModel(page);
  assert.match(found, /golden\/tiny: 0\.8 MB to download\.config\.json, preprocessor_config\.json, model\.safetensors/);
  await keeps(page, "golden/tiny0.8 MB");
  const [first, ...rest] = ranges();
  assert.equal(first, null);
  assert.equal(rest.length, 2);
  // No byte was downloaded twice.
  const starts = rest.map((range) => Number(range.match(/\d+/)[0]));
  assert.ok(0 < starts[0] && starts[0] < starts[1] && starts[1] < SIZE, `${starts}`);
  await openChosen(page, "golden/tiny:");

  hub.requests.length = 0;
  await page.reload();
  await judged(page);
  await page.click(".models summary");
  await page.selectOption("#pretrained", { label: "golden/tiny" });
  await openChosen(page, "golden/tiny:");
  assert.deepEqual(hub.requests, []);
  // Chromium reports each interrupted response.
  assert.deepEqual(problems.filter((words) => !/ERR_CONTENT_LENGTH_MISMATCH|ERR_INCOMPLETE_CHUNKED/.test(words)), []);
  await context.close();
});

test("a failed download keeps its data and resumes on a later visit", async () => {
  const { context, page } = await visitor();
  hub.fault = (name, range) => (name === WEIGHTS ? (range ? { status: 503 } : { cut: 300_000 }) : undefined);
  await fetchModel(page);
  assert.match(await trouble(page), /503; 0\.\d MB of model\.safetensors are stored: resume/);
  await keeps(page, "of 0.8 MB");
  hub.fault = () => undefined;
  hub.requests.length = 0;
  await page.reload();
  await judged(page);
  await page.click(".models summary");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.waitForFunction(() => !document.querySelector("#kept").textContent.includes("of"));
  assert.match(ranges()[0], /^bytes=[1-9]\d*-$/);
  await openChosen(page, "golden/tiny:");
  await context.close();
});

test("a file with a wrong hash is refused", async () => {
  const { context, page } = await visitor();
  hub.fault = (name) => ({ damage: name === WEIGHTS });
  await fetchModel(page);
  assert.match(await trouble(page), /model\.safetensors is damaged/);
  assert.equal(await page.$$eval("#pretrained option", (list) => list.length), 1);
  hub.fault = () => undefined;
  await page.getByRole("button", { name: "Resume" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#pretrained option").length === 2);
  await context.close();
});

test("a download is stopped, resumed, and removed", async () => {
  const { context, page } = await visitor();
  hub.fault = (name, range) => (name === WEIGHTS && !range ? { hold: new Promise(() => {}) } : undefined);
  await fetchModel(page);
  await page.waitForFunction(() => document.querySelector("progress")?.value > 0.3);
  assert.match(await page.textContent("#download"), /golden\/tiny: 0\.4 MB of 0\.8 MB/);
  // It doesn't delay scores.
  await page.fill(".row textarea", "a blue sheep");
  await page.waitForFunction(() => document.querySelector("#verdict").textContent.includes("Prefers"));
  await page.click("#download button");
  assert.match(await trouble(page), /stopped/);
  await page.getByRole("button", { name: "Resume" }).click();
  await keeps(page, "golden/tiny0.8 MB");
  await page.getByRole("button", { name: "Remove golden/tiny" }).click();
  await page.waitForFunction(() => !document.querySelector("#kept"));
  assert.equal(await page.$$eval("#pretrained option", (list) => list.length), 1);
  await context.close();
});

test("a full storage is reported, before and during a download", async () => {
  const { context, page } = await visitor();
  const session = await context.newCDPSession(page);
  const quota = (quotaSize) => session.send("Storage.overrideQuotaForOrigin", { origin: new URL(site.url).origin, quotaSize });
  await quota(500_000);
  await fetchModel(page);
  assert.match(await trouble(page), /storage is full/);
  await quota();
  await page.locator("#model-trouble button").click();
  let release;
  hub.fault = (name, range) => (name === WEIGHTS && !range ? { hold: new Promise((resolve) => (release = resolve)) } : undefined);
  await fetchModel(page, "golden/large");
  await page.waitForFunction(() => document.querySelector("progress")?.value > 0.3);
  await quota(1_000_000);
  release();
  assert.match(await trouble(page), /storage is full/);
  await quota();
  hub.requests.length = 0;
  await page.getByRole("button", { name: "Resume" }).last().click();
  await keeps(page, "golden/large12 MB");
  assert.match(ranges().at(-1), /^bytes=[1-9]\d*-$/);
  await context.close();
});

test("missing models and invalid names are reported", async () => {
  const { context, page } = await visitor();
  for (const [typed, words] of [
    ["clip", /neither a model's name/],
    ["golden/none", /there is no such model/],
    [`${hub.url}/golden/tiny/resolve/dev/`, /no CLIP in safetensors/],
  ]) {
    await page.fill("#place", typed);
    await page.click(".look button[type=submit]");
    assert.match(await trouble(page), words);
    await page.locator("#model-trouble button").click();
  }
  assert.equal(await page.$("#found"), null);
  await context.close();
});

test("a folder on any web server, checked against its manifest", async () => {
  const { context, page } = await visitor();
  hub.fault = (name, range) => ({ damage: name === WEIGHTS });
  await page.fill("#place", `${hub.url}/golden/tiny/resolve/main`);
  await page.click(".look button[type=submit]");
  await page.waitForSelector("#found");
  assert.match(await page.textContent("#found"), /0\.8 MB to download/);
  await page.click("#fetch");
  assert.match(await trouble(page), /model\.safetensors is damaged/);
  hub.fault = () => undefined;
  await page.getByRole("button", { name: "Resume" }).click();
  await keeps(page, "/golden/tiny/resolve/main/0.8 MB");
  await context.close();
});
