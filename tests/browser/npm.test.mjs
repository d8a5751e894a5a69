// The npm package in a real Chromium, as a page uses it that serves its files.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { GOLDEN, launch } from "./lib.mjs";
import { serve } from "./server.mjs";

/// The package's folder, as `cargo xtask test` puts it together.
const PACKAGE = process.env.CLOVE_NPM;
let browser, site;
before(async () => {
  assert.ok(PACKAGE, "CLOVE_NPM names the package's folder: run these by `cargo xtask test`");
  site = await serve(PACKAGE);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test("the npm package scores, makes negatives, opens a model, and says what is wrong", async () => {
  const page = await browser.newPage();
  await page.goto(`${site.url}package.json`);
  const photo = [...readFileSync(`${GOLDEN}/images/square-circle.png`)];
  const files = readdirSync(`${GOLDEN}/hf`).map((name) => [name, readFileSync(`${GOLDEN}/hf/${name}`).toString("base64")]);
  const done = await page.evaluate(
    async ([url, photo, files]) => {
      const { CloveError, createEngine } = await import(url);
      const engine = await createEngine({ device: "cpu" });
      const captions = ["a square and a circle", "a red ball"];
      const [first, second] = await Promise.all([engine.score(photo, captions), engine.score(new Blob([Uint8Array.from(photo)]), captions)]);
      const negatives = await engine.negatives("a black cat sits on a wooden chair", { style: "replace", count: 2 });
      const decode = async ([name, text]) => new File([await (await fetch(`data:;base64,${text}`)).blob()], name);
      const loaded = await engine.load(await Promise.all(files.map(decode)));
      const other = await engine.score(photo, captions);
      const refused = await engine.score([1, 2, 3], captions).catch((error) => [error instanceof CloveError, error.message]);
      engine.close();
      const closed = await engine.score(photo, captions).catch((error) => error.message);
      const unknown = await createEngine({ device: "tpu" }).catch((error) => error.message);
      return { about: engine.about, first, second, negatives, loaded, other, refused, closed, unknown };
    },
    [`${site.url}index.js`, photo, files],
  );
  assert.equal(done.about.backend, "CPU");
  assert.deepEqual(done.first, done.second);
  assert.ok(Math.abs(done.first.probabilities.reduce((a, b) => a + b) - 1) < 1e-5);
  assert.equal(done.negatives.length, 2);
  assert.ok(done.loaded.parameters > 0 && done.loaded.finetuned === null);
  assert.notDeepEqual(done.other, done.first);
  assert.equal(done.refused[0], true);
  assert.match(done.closed, /closed/);
  assert.match(done.unknown, /tpu/);
  await page.close();
});
