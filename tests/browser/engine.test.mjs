// The engines in a real Chromium: on the CPU, and on WebGPU through a software adapter.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { serve } from "./server.mjs";
import { firstVisit, LIMITS, sizes } from "./sizes.mjs";

const DIST = new URL("../../web/dist", import.meta.url).pathname;
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
/// Embeddings are unit vectors: another order of summation moves them by 1e-6, a wrong kernel by far more.
const CPU_TOLERANCE = 1e-4;
const GPU_TOLERANCE = 1e-3;

const file = (end) => readdirSync(DIST).find((name) => end.test(name));
/// The scene models' files, which the page hands to an engine.
const MODELS = [/^pretrained-.*\.safetensors$/, /\.deltas$/].map(file);
/// The script that starts a worker, in its folder.
const script = (engine) => `${readdirSync(DIST).find((name) => name.startsWith(`${engine}-`))}/${engine}_loader.js`;

let site;
before(async () => (site = await serve(DIST)));
after(() => site.close());

/// Opens a page on the site's origin, starts an engine there, and asks it one thing after another.
async function converse(engine, flags, asks) {
  const browser = await chromium.launch({
    executablePath: process.env.CLOVE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-background-networking", ...flags],
  });
  try {
    const page = await browser.newPage();
    const problems = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    // Any file of the site will do: a worker needs the origin.
    await page.goto(`${site.url}service-worker.js`);
    const answers = await page.evaluate(
      async ([script, asks, site]) => {
        const worker = new Worker(site + script, { type: "module" });
        let settle, fail;
        const next = () => new Promise((resolve, reject) => ([settle, fail] = [resolve, reject]));
        worker.onerror = (event) => fail(new Error(event.message));
        worker.onmessage = ({ data: [text, bytes] }) => settle(text === "ready" ? text : [JSON.parse(text), bytes?.length]);
        await next();
        const answers = [];
        for (const [id, [ask, file]] of asks.entries()) {
          const fetched = async (name) => new Uint8Array(await (await fetch(site + name)).arrayBuffer());
          let bytes = null;
          if (ask.Open) {
            const both = await Promise.all(file.map(fetched));
            ask.Open.pretrained = both[0].length;
            bytes = new Uint8Array(await new Blob(both).arrayBuffer());
          } else if (file) bytes = Array.isArray(file) ? new Uint8Array(file) : await fetched(file);
          const answered = next();
          worker.postMessage([JSON.stringify({ id, ask }), bytes]);
          const [reply, length] = await answered;
          if (reply.id !== id) throw new Error(`asked ${id}, answered ${reply.id}`);
          answers.push([reply.answer, length]);
        }
        return answers;
      },
      [script(engine), asks, site.url],
    );
    assert.deepEqual(problems, []);
    return answers;
  } finally {
    await browser.close();
  }
}

const CAPTIONS = ["an orange heart right of a huge pink cross", "a red ball"];
const OPEN = [{ Open: { pretrained: 0 } }, MODELS];
const ASKS = [
  OPEN,
  [{ Sample: { image: 1, number: 0 } }],
  [{ Score: { image: 1, captions: CAPTIONS, alpha: 0.6 } }],
  [{ Curve: { image: 1, captions: CAPTIONS, alphas: [0, 0.5, 1] } }],
];

let cpu;

test("on the CPU it scores, patches, explains and makes negatives", async () => {
  const negatives = { caption: CAPTIONS[0], others: [], style: "mixed", count: 3, seed: 1 };
  const answers = await converse("engine-cpu", [], [
    ...ASKS,
    [{ Words: { image: 1, caption: CAPTIONS[0], alpha: 1 } }],
    [{ Negatives: negatives }],
    ["Lexicon", file(/\.lexicon$/)],
    [{ Negatives: negatives }],
    [{ Image: { image: 2 } }, [1, 2, 3]],
    [{ Score: { image: 3, captions: CAPTIONS, alpha: 0.6 } }],
    [{ Score: { image: 1, captions: CAPTIONS, alpha: 2 } }],
  ]);
  const [opened, sample, scores, curve, words, early, lexicon, made, broken, missing, outside] = answers.map(([answer]) => answer);
  cpu = answers;
  assert.equal(opened.Opened.backend, "CPU");
  assert.ok(opened.Opened.difference < CPU_TOLERANCE, `${opened.Opened.difference}`);
  assert.equal(sample.Image.caption, CAPTIONS[0]);
  assert.equal(answers[1][1], sample.Image.width * sample.Image.height * 3);
  assert.equal(scores.Scores.similarities.length, 2);
  assert.ok(Math.abs(scores.Scores.probabilities.reduce((a, b) => a + b) - 1) < 1e-5);
  assert.equal(curve.Curve.similarities.length, 3);
  // Fine-tuning on whole captions tells this one from another more clearly than alt texts did.
  const margin = ([right, wrong]) => right - wrong;
  assert.ok(margin(curve.Curve.similarities[2]) > margin(curve.Curve.similarities[0]));
  assert.deepEqual(words.Words.words.map(([word]) => word), CAPTIONS[0].split(" "));
  assert.match(early.Failed.reason, /lexicon/);
  assert.equal(lexicon, "Lexicon");
  assert.equal(new Set(made.Negatives.negatives.map(({ kind }) => kind)).size, 3);
  assert.match(broken.Failed.reason, /not an image/);
  assert.match(missing.Failed.reason, /no such image/);
  assert.match(outside.Failed.reason, /alpha is 2/);
});

test("on WebGPU it computes what the CPU does", async () => {
  const answers = await converse("engine-gpu", WEBGPU, ASKS);
  const [opened, , scores, curve] = answers.map(([answer]) => answer);
  assert.equal(opened.Opened?.backend, "WebGPU", JSON.stringify(opened));
  assert.ok(opened.Opened.difference < GPU_TOLERANCE, `${opened.Opened.difference}`);
  const values = (scores, curve) => [scores.Scores.similarities, ...curve.Curve.similarities].flat();
  const here = values(scores, curve);
  for (const [at, there] of values(cpu[2][0], cpu[3][0]).entries()) {
    assert.ok(Math.abs(here[at] - there) < GPU_TOLERANCE, `${here[at]} ${there}`);
  }
});

test("without WebGPU the engine for it says so", async () => {
  const [[opened]] = await converse("engine-gpu", [], [OPEN]);
  assert.match(opened.Failed.reason, /WebGPU/);
});

test("a first visit is no larger than its limits, on either engine", () => {
  const list = sizes(DIST);
  assert.equal(list.filter(({ name }) => name.endsWith(".wasm")).length, 3);
  for (const engine of ["engine-cpu", "engine-gpu"]) {
    const { all, wasm } = firstVisit(list, engine);
    assert.ok(wasm > 0 && wasm < LIMITS.wasm, `${engine}: ${wasm} bytes of wasm`);
    assert.ok(all < LIMITS.all, `${engine}: ${all} bytes`);
  }
});
