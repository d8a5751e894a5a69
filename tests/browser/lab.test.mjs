// The lab in Chromium, on the CPU and on WebGPU (software), compared with the native program.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DIST, launch, lab, lesson, WEBGPU } from "./lib.mjs";
import { serve } from "./server.mjs";

/// The native program, as `cargo xtask test` builds it.
const CLOVE = process.env.CLOVE_BIN;
const ENGINES = { cpu: [], gpu: WEBGPU };
/// Tolerance of losses: another order of summation. A wrong sample or learning rate differs by far more.
const LOSSES = 1e-3;
/// Tolerance of similarities with the same weights and pixels.
const SIMILARITIES = 1e-4;
/// Long enough for a software GPU.
const PATIENCE = 600_000;

let site;
const browsers = {};
const folder = mkdtempSync(join(tmpdir(), "clove-lab-"));
before(async () => {
  assert.ok(CLOVE, "set CLOVE_BIN to the native program, or run `cargo xtask test`");
  site = await serve(DIST);
  for (const [name, flags] of Object.entries(ENGINES)) browsers[name] = await launch(...flags);
});
after(async () => {
  for (const browser of Object.values(browsers)) await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

const clove = (...args) => execFileSync(CLOVE, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], cwd: folder });

/// Triggers a download; returns the file's path.
async function saved(page, press, name) {
  const [download] = await Promise.all([page.waitForEvent("download", { timeout: PATIENCE }), press()]);
  const path = join(folder, name);
  await download.saveAs(path);
  return path;
}

/// The runs in the browser's storage, oldest first.
const kept = (page) =>
  page.evaluate(async () => {
    const cache = await caches.open("lab-runs");
    const requests = (await cache.keys()).sort((a, b) => (a.url < b.url ? -1 : 1));
    const read = async (request) => {
      const bytes = new Uint8Array(await (await cache.match(request)).arrayBuffer());
      const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
      return { steps: Number(header.__metadata__.step), record: JSON.parse(header.__metadata__.record) };
    };
    return Promise.all(requests.map(read));
  });
/// Waits until this many runs are complete and stored.
async function done(page, runs) {
  const began = Date.now();
  for (;;) {
    const all = await kept(page);
    if (all.length >= runs && all.every(({ record }) => record.done)) return;
    const state = await page.locator("#run-state").textContent();
    assert.ok(Date.now() - began < 2 * PATIENCE && !/Failed/.test(state), state);
    await page.waitForTimeout(200);
  }
}
const steps = (page) => page.locator("#run-state").getAttribute("data-steps").then(Number);

const similarity = async (page, column) => Number(await page.locator(`#scores .right-row td >> nth=${column}`).getAttribute("title"));
/// Pauses a run, takes one step, and resumes it.
async function pausing(page, total) {
  await page.waitForFunction(() => Number(document.querySelector("#run-state")?.dataset.steps) >= 3);
  await page.locator("#pause").click();
  await page.waitForFunction(() => /Paused/.test(document.querySelector("#run-state").textContent) && !document.querySelector("#step").disabled);
  // The step in progress still counts. After it the run stays where it is.
  let before;
  let paused = await steps(page);
  do {
    before = paused;
    await page.waitForTimeout(2_000);
    paused = await steps(page);
  } while (paused !== before);
  assert.ok(paused < total, "the run did not pause");
  await page.locator("#step").click();
  await page.waitForFunction((paused) => Number(document.querySelector("#run-state").dataset.steps) > paused, paused);
  await page.waitForFunction(() => !document.querySelector("#resume").disabled);
  assert.equal(await steps(page), paused + 1);
  // At once, while the previous loop is still saving.
  await page.locator("#resume").click();
  await page.locator("#pause").click();
  await page.locator("#resume").click();
}

const view = (page, name) => page.locator(".tabs a", { hasText: name }).click();

/// On a software GPU a step takes seconds and a measurement more than a minute, so long runs are tested on the CPU only.
const RUNS = { cpu: { steps: 20, batch: 64, scenes: 900 }, gpu: { steps: 6, batch: 2, scenes: 30 } };

for (const name of Object.keys(ENGINES)) {
  const of = RUNS[name];
  const does = name === "cpu" ? "pauses, resumes, is patched, downloaded and restored, and" : "is downloaded, and";
  test(`a run on the ${name} ${does} matches the native program`, { timeout: 3 * PATIENCE }, async () => {
    const { page, context, problems } = await lab(browsers[name], site, {
      query: `?lab&engine=${name}`,
      hash: `#v=train&seed=3&steps=${of.steps}&batch=${of.batch}&scenes=${of.scenes}`,
    });
    page.setDefaultTimeout(2 * PATIENCE);
    await page.locator("#start").click();
    if (name === "cpu") await pausing(page, of.steps);
    await done(page, 1);

    // The same run without a browser.
    const toml = await saved(page, () => page.locator("#toml").click(), `lab-${name}.toml`);
    const out = join(folder, `run-${name}`);
    clove("train", toml, "--device", "cpu", "--set", `out="${out}"`);
    const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
    const native = lines.filter(({ loss }) => loss !== undefined).map(({ loss }) => loss);
    const [run] = await kept(page);
    assert.equal(run.steps, of.steps);
    assert.equal(run.record.losses.length, of.steps);
    assert.equal(native.length, of.steps);
    const worst = Math.max(...native.map((loss, at) => Math.abs(loss - run.record.losses[at])));
    console.log(`losses of ${of.steps} steps on the ${name} are within ${worst.toExponential(1)} of the native program's`);
    assert.ok(worst < LOSSES, `losses differ by ${worst}`);
    assert.ok(new Set(run.record.losses).size > of.steps / 2);
    // On a slow device short runs aren't measured.
    if (name === "cpu") assert.equal(run.record.points.at(-1)[0], of.steps);

    // Similarities in the page, and by the native program with the downloaded files.
    const file = await saved(page, () => page.locator("#download").click(), `run-${name}.safetensors`);
    await view(page, "Draw");
    await page.locator("#alpha").fill("0.5");
    const scored = () => page.waitForFunction(() => document.querySelectorAll("#scores .right-row td[title]").length === 3);
    await scored();
    const caption = (await page.locator("#caption").textContent()).trim();
    const shown = await page.locator(".seen img").getAttribute("src");
    const picture = join(folder, `seen-${name}.png`);
    writeFileSync(picture, Buffer.from(shown.split(",")[1], "base64"));
    await page.waitForTimeout(1_000);
    const [, patched, tuned] = await Promise.all([0, 1, 2].map((column) => similarity(page, column)));
    const score = (model) => {
      const json = JSON.parse(clove("score", "--model", model, "--image", picture, "--caption", caption, "--device", "cpu", "--json"));
      return json.captions[0].similarity;
    };
    const same = (model, there) => {
      const here = score(model);
      console.log(`${name}: a similarity is within ${Math.abs(here - there).toExponential(1)} of the native program's`);
      assert.ok(Math.abs(here - there) < SIMILARITIES, `${model}: ${here} and ${there}`);
    };
    same(file, tuned);
    assert.ok(Math.abs(patched - tuned) > 1e-4);
    if (name === "cpu") {
      await view(page, "Patch");
      await page.waitForSelector("#curve");
      const between = await saved(page, () => page.locator("#download-patched").click(), `patched-${name}.safetensors`);
      same(between, patched);
    }

    if (name === "cpu") {
      // A later visit restores the run.
      await page.reload();
      await page.waitForSelector(".lamp.runs");
      await view(page, "Train");
      await page.waitForSelector("#runs tbody tr");
      assert.match(await page.locator("#run-state").textContent(), new RegExp(`Done: step ${of.steps} of ${of.steps}`));
      const chosen = async (row) => {
        await view(page, "Draw");
        await page.locator("select").first().selectOption({ index: row });
        await scored();
        assert.equal((await page.locator("#caption").textContent()).trim(), caption);
      };
      const settles = (score) =>
        page.waitForFunction((score) => {
          const cell = document.querySelectorAll("#scores .right-row td[title]")[2];
          return cell && Math.abs(Number(cell.title) - score) < 1e-4;
        }, score);
      await chosen(1);
      await settles(tuned);
      // A downloaded file scores the same when opened, and so do the native program's weights.
      for (const [at, model, expected] of [[2, file, tuned], [3, join(out, "model/model.safetensors"), score(join(out, "model"))]]) {
        await view(page, "Train");
        await page.locator("#model-file").setInputFiles(model);
        await page.waitForFunction((rows) => document.querySelectorAll("#runs tbody tr").length === rows, at);
        await chosen(at);
        await settles(expected);
      }
    }
    assert.deepEqual(problems, []);
    await context.close();
  });
}

test("a run pauses while its tab is hidden", async () => {
  const { page, context } = await lab(browsers.cpu, site, { query: "?lab&engine=cpu", hash: "#v=train&steps=2000&batch=32" });
  await page.locator("#start").click();
  await page.waitForFunction(() => Number(document.querySelector("#run-state")?.dataset.steps) >= 2);
  // Headless tabs are never hidden, so this simulates it.
  const hide = (hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }, hidden);
  await hide(true);
  await page.waitForFunction(() => /Paused while the tab/.test(document.querySelector("#run-state").textContent));
  await page.waitForTimeout(1_000);
  const waits = await steps(page);
  await page.waitForTimeout(2_000);
  assert.equal(await steps(page), waits);
  await hide(false);
  await page.waitForFunction((waits) => Number(document.querySelector("#run-state").dataset.steps) > waits + 2, waits);
  await context.close();
});

test("the scene editor updates the caption, by keys and by dragging", async () => {
  const { page, context, problems } = await lab(browsers.cpu, site, {
    query: "?lab&engine=cpu",
    hash: "#v=draw&d=red.circle.mp.250.500&d=blue.square.mp.750.500",
  });
  const caption = async () => (await page.locator("#caption").textContent()).trim();
  const before = await caption();
  assert.match(before, /red circle.*left.*blue square|left.*blue square.*red circle/);
  await page.waitForFunction(() => document.querySelectorAll("#scores .right-row td[title]").length === 3);
  assert.ok((await page.locator("#scores tbody tr").count()) >= 7);
  // Move the circle to the other side, by the keyboard.
  await page.locator(".handle").first().focus();
  for (let press = 0; press < 9; press++) await page.keyboard.press("Shift+ArrowRight");
  await page.locator(".handle").nth(1).focus();
  for (let press = 0; press < 6; press++) await page.keyboard.press("Shift+ArrowLeft");
  assert.match(await caption(), /red circle.*right.*blue square|right.*blue square.*red circle/);
  // Drag it onto the square: it's inside.
  const canvas = await page.locator(".canvas").boundingBox();
  const middle = async (at) => {
    const box = await page.locator(".handle").nth(at).boundingBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [from, to] = [await middle(0), await middle(1)];
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move(to[0] + canvas.width * 0.01, to[1], { steps: 5 });
  await page.mouse.up();
  assert.match(await caption(), /red circle.*\bin(side)?\b.*blue square|\bin(side)?\b.*blue square.*red circle/);
  // Drag it out again: the front object is dragged.
  const inner = await middle(0);
  await page.mouse.move(...inner);
  await page.mouse.down();
  await page.mouse.move(inner[0] + canvas.width * 0.5, inner[1], { steps: 5 });
  await page.mouse.up();
  assert.match(await caption(), /red circle.*right.*blue square|right.*blue square.*red circle/);
  // Add a shape, and remove it.
  await page.locator("#add-thing").click();
  assert.equal(await page.locator(".handle").count(), 3);
  await page.getByRole("button", { name: "Remove" }).click();
  assert.equal(await page.locator(".handle").count(), 2);
  // The address has the drawing.
  assert.match(page.url(), /d=red\.circle\.mp\./);
  assert.deepEqual(problems, []);
  await context.close();
});

test("lessons require an answer, and complete", { timeout: PATIENCE }, async () => {
  const { page, context, problems } = await lab(browsers.cpu, site, { query: "?lab&engine=cpu", hash: "#v=lessons&n=6" });
  const titles = await page.locator(".lesson-card h2 a").allTextContents();
  assert.equal(titles.length, 6);
  // One that trains and one that doesn't; `cargo xtask campaign lab-memory` runs all.
  for (const title of titles.slice(1, 3)) await lesson(page, title);
  assert.equal(await page.locator(".done").count(), 2);
  // A link with an answer opens the answered lesson.
  await page.goto(`${site.url}?lab&engine=cpu#v=lessons&l=shortcut&q=2`);
  await page.waitForSelector("#run-lesson");
  assert.ok(await page.locator(".answer input").nth(2).isChecked());
  assert.deepEqual(problems, []);
  await context.close();
});

test("after an engine's end the run continues with identical losses", { timeout: PATIENCE }, async () => {
  const { page, context } = await lab(browsers.cpu, site, { query: "?lab&engine=cpu", hash: "#v=train&steps=240&batch=16&seed=1" });
  await page.locator("#start").click();
  await page.waitForFunction(() => Number(document.querySelector("#run-state")?.dataset.steps) >= 20);
  // Save a state to resume from.
  await page.locator("#pause").click();
  await page.waitForFunction(async () => (await (await caches.open("lab-runs")).keys()).length === 1);
  await page.locator("#resume").click();
  await page.waitForFunction(() => Number(document.querySelector("#run-state")?.dataset.steps) >= 30);
  const again = page.waitForEvent("worker");
  // An unhandled error ends a worker, like a lost device or insufficient memory.
  await page.workers()[0].evaluate(() => setTimeout(() => { throw new Error("gone"); }));
  await again;
  await done(page, 1);
  assert.match(await page.locator("#engine").textContent(), /gone/);
  // The same run without an interruption.
  await page.locator("#start").click();
  await page.waitForFunction(() => document.querySelectorAll("#runs tbody tr").length === 2);
  await done(page, 2);
  const [one, other] = await kept(page);
  assert.equal(one.record.losses.length, 240);
  assert.deepEqual(one.record.losses, other.record.losses);
  await context.close();
});

test("an unreadable file is reported by name", async () => {
  const { page, context } = await lab(browsers.cpu, site, { query: "?lab&engine=cpu", hash: "#v=train" });
  const notes = { "notes.safetensors": Buffer.from("not a model"), "short.safetensors": Buffer.alloc(4) };
  for (const [name, buffer] of Object.entries(notes)) {
    await page.locator("#model-file").setInputFiles({ name, mimeType: "application/octet-stream", buffer });
    await page.waitForFunction((name) => document.querySelector(".notice")?.textContent.includes(name), name);
  }
  assert.equal(await page.locator("#runs").count(), 0);
  await context.close();
});
