// The engines in a real Chromium: on the CPU, and on WebGPU through a software adapter.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { DIST, engine, file, GOLDEN, launch, TOLERANCE, WEBGPU } from "./lib.mjs";
import { serve } from "./server.mjs";
import { firstVisit, LIMITS, program, sizes } from "./sizes.mjs";

/// The engines with training include the others' functions, which the page's tests use.
const ENGINES = { "trainer-cpu": [], "trainer-gpu": WEBGPU };
const CAPTIONS = ["an orange heart right of a huge pink cross", "a red ball"];
const ALPHAS = [0, 0.5, 1];
/// The settings of a short run.
const RUN = { texts: "Captions", scenes: 30, negatives: "Mixed", loss: "Clove", learning_rate: 1e-3, image_rate: 0.25, steps: 6, batch: 2, seed: 3 };
/// Tolerance of losses: another order of summation. A wrong sample or learning rate differs by far more.
const LOSSES = 1e-3;

let site;
const browsers = {};
/// One shared engine per device: opening takes long on a software GPU.
const engines = {};
const opened = {};
before(async () => {
  site = await serve(DIST);
  for (const [name, flags] of Object.entries(ENGINES)) {
    browsers[name] = await launch(...flags);
    engines[name] = await engine(browsers[name], site, name);
    opened[name] = await engines[name].open();
  }
});
after(async () => {
  for (const browser of Object.values(browsers)) await browser?.close();
  await site?.close();
});

/// A safetensors file's tensors.
function tensors(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length));
  const read = ({ data_offsets: [start, end] }) => {
    const data = bytes.subarray(8 + length + start, 8 + length + end);
    return Array.from({ length: data.length / 4 }, (_, at) => data.readFloatLE(4 * at));
  };
  return Object.fromEntries(Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, entry]) => [name, read(entry)]));
}

const floats = (bytes) => Array.from(new Float32Array(Uint8Array.from(bytes).buffer));

function assertClose(what, got, expected, tolerance) {
  assert.equal(got.length, expected.length, what);
  const worst = Math.max(...got.map((value, at) => Math.abs(value - expected[at])));
  assert.ok(worst <= tolerance, `${what}: ${worst}`);
}

const scores = {};
const losses = {};
for (const name of Object.keys(ENGINES)) {
  test(`${name} scores and patches the scene models`, async () => {
    const { ask, problems } = engines[name];
    assert.equal(opened[name].Opened?.backend, name === "trainer-cpu" ? "CPU" : "WebGPU", JSON.stringify(opened[name]));
    assert.ok(opened[name].Opened.difference < TOLERANCE[name], `${opened[name].Opened.difference}`);
    const [sample, pixels] = await ask({ Sample: { image: 1, number: 0 } });
    assert.equal(sample.Image.caption, CAPTIONS[0]);
    assert.equal(pixels.length, sample.Image.width * sample.Image.height * 3);
    const [{ Scores }] = await ask({ Score: { image: 1, captions: CAPTIONS, alpha: 0.6 } });
    assert.ok(Math.abs(Scores.probabilities.reduce((a, b) => a + b) - 1) < 1e-5);
    const [{ Curve }] = await ask({ Curve: { image: 1, captions: CAPTIONS, alphas: ALPHAS } });
    // Fine-tuning on full captions increases the margin.
    const margin = ([right, wrong]) => right - wrong;
    assert.ok(margin(Curve.similarities[2]) > margin(Curve.similarities[0]));
    scores[name] = [Scores.similarities, ...Curve.similarities].flat();
    // The same alpha gives the same result.
    const [again] = await ask({ Score: { image: 1, captions: CAPTIONS, alpha: 0.6 } });
    assert.deepEqual(again.Scores.similarities, Scores.similarities);
    // The check of the device passes, and finds injected faults.
    assert.equal((await ask({ Check: { fault: null } }))[0], "Done");
    const kernels = name === "trainer-cpu" ? [] : ["patch", "preprocess", "contrastive", "own-negatives"];
    for (const fault of ["read-back", "matmul-50", "matmul-64", "matmul-77", "softmax", "layer-norm", "causal-attention", ...kernels]) {
      const [{ Failed }] = await ask({ Check: { fault } });
      assert.match(Failed.reason, new RegExp(`wrong numbers: ${fault}: `));
    }
    assert.deepEqual(problems, []);
  });

  test(`${name} trains`, async () => {
    const { ask, problems } = engines[name];
    assert.equal((await ask({ StartRun: { run: 1, settings: RUN } }))[0], "Done");
    losses[name] = [];
    for (let step = 0; step < RUN.steps; step++) {
      const [answer] = await ask({ Step: { run: 1 } });
      assert.deepEqual([answer.Step?.step, answer.Step?.is_last], [step, step === RUN.steps - 1], JSON.stringify(answer));
      losses[name].push(answer.Step.loss);
    }
    assert.deepEqual(problems, []);
  });

  // The layouts differ in reading only.
  for (const layout of name === "trainer-cpu" ? ["hf", "open_clip"] : ["hf"]) {
    test(`${name} gives the golden model's embeddings (${layout})`, async () => {
      const { ask, problems } = engines[name];
      const weights = layout === "hf" ? "model.safetensors" : "open_clip_model.safetensors";
      const names = layout === "hf" ? ["config.json", "preprocessor_config.json", weights] : ["open_clip_config.json", weights];
      const files = names.map((one) => [one, readFileSync(`${GOLDEN}/${layout}/${one}`)]);
      await ask({ Files: { place: "tiny" } }, { files });
      const [loaded] = await ask({ Load: { pretrained: { Disk: "tiny" }, finetuned: null } });
      assert.equal(loaded.Loaded?.name, "tiny", JSON.stringify(loaded));
      const expected = tensors(readFileSync(`${GOLDEN}/expected.safetensors`));
      const { images, captions } = JSON.parse(readFileSync(`${GOLDEN}/expected.json`));
      const rows = { image: [], text: [], patch: [] };
      for (const [image, one] of images.entries()) {
        // Every other photo is preprocessed on the device, if its kernels run.
        await ask({ Image: { image, on_device: image % 2 === 1 } }, { bytes: readFileSync(`${GOLDEN}/images/${one}`) });
        const [{ Embeddings }, bytes] = await ask({ Embed: { image, captions, alpha: 0 } });
        const all = floats(bytes);
        rows.image.push(...all.slice(0, Embeddings.width));
        rows.text = all.slice(Embeddings.width);
      }
      assertClose("images", rows.image, expected.image_features, TOLERANCE[name]);
      assertClose("texts", rows.text, expected.text_features, TOLERANCE[name]);
      // The cosine of each patch with the first caption.
      const [{ Heat }] = await ask({ Heat: { image: 0, caption: captions[0], alpha: 0 } });
      const width = expected.text_features.length / captions.length;
      const text = expected.text_features.slice(0, width);
      const cosines = Heat.similarities.map((_, patch) => text.reduce((sum, value, at) => sum + value * expected.patch_features[patch * width + at], 0));
      assert.equal(Heat.side ** 2, Heat.similarities.length);
      assertClose("patches", Heat.similarities, cosines, TOLERANCE[name]);
      // 96 by 64 pixels: two thirds of the width are visible.
      assertClose("seen", Heat.seen, [1 / 6, 0, 2 / 3, 1], 1e-9);
      assert.deepEqual(problems, []);
    });
  }
}

test("WebGPU computes what the CPU does", () => {
  assertClose("similarities", scores["trainer-gpu"], scores["trainer-cpu"], TOLERANCE["trainer-gpu"]);
  assertClose("losses", losses["trainer-gpu"], losses["trainer-cpu"], LOSSES);
});

test("an engine explains, makes negatives, and reports errors", async () => {
  const { ask } = engines["trainer-cpu"];
  await ask({ Load: { pretrained: "Scenes", finetuned: "Scenes" } });
  await ask({ Sample: { image: 1, number: 0 } });
  const refused = async (...asked) => (await ask(...asked))[0].Failed.reason;
  const [{ Words }] = await ask({ Words: { image: 1, caption: CAPTIONS[0], alpha: 1 } });
  assert.deepEqual(Words.words.map(([word]) => word), CAPTIONS[0].split(" "));
  const negatives = { Negatives: { caption: CAPTIONS[0], others: [], style: "mixed", count: 3, seed: 1 } };
  assert.match(await refused(negatives), /lexicon/);
  const [lexicon] = await ask("Lexicon", { bytes: readFileSync(`${DIST}/${file(/\.lexicon$/)}`) });
  assert.equal(lexicon, "Lexicon");
  const [made] = await ask(negatives);
  assert.equal(new Set(made.Negatives.negatives.map(({ kind }) => kind)).size, 3);
  assert.match(await refused({ Image: { image: 2 } }, { bytes: Buffer.from([1, 2, 3]) }), /not an image/);
  assert.match(await refused({ Score: { image: 3, captions: CAPTIONS, alpha: 0.6 } }), /no such image/);
  assert.match(await refused({ Score: { image: 1, captions: CAPTIONS, alpha: 2 } }), /alpha is 2/);
});

test("unusable models are refused, and the models in use stay", async () => {
  const { ask } = engines["trainer-cpu"];
  const hf = (name) => readFileSync(`${GOLDEN}/hf/${name}`);
  const weights = hf("model.safetensors");
  const config = JSON.parse(hf("config.json"));
  config.vision_config.hidden_act = "quick_gelu";
  const place = async (name, files) => ask({ Files: { place: name } }, { files });
  await place("truncated", [["config.json", hf("config.json")], ["model.safetensors", weights.subarray(0, 500_000)]]);
  await place("empty", [["notes.json", Buffer.from("{}")]]);
  await place("tiny", [["config.json", hf("config.json")], ["model.safetensors", weights]]);
  await place("other", [["config.json", Buffer.from(JSON.stringify(config))], ["model.safetensors", weights]]);
  await place("tuned.safetensors", [["tuned.safetensors", weights]]);
  const load = async (pretrained, finetuned = null) => (await ask({ Load: { pretrained: { Disk: pretrained }, finetuned: finetuned && { Disk: finetuned } } }))[0];
  assert.match((await load("truncated")).Failed.reason, /model\.safetensors/);
  assert.match((await load("empty")).Failed.reason, /neither config\.json/);
  assert.match((await load("gone")).Failed.reason, /not chosen/);
  assert.match((await load("tiny", "other")).Failed.reason, /image activation: gelu, quick_gelu/);
  const [{ Scores }] = await ask({ Score: { image: 1, captions: CAPTIONS, alpha: 0.6 } });
  assertClose("the scene models", Scores.similarities, scores["trainer-cpu"].slice(0, 2), 0);
  // Weights alone are accepted as the fine-tuned model.
  assert.equal((await load("tiny", "tuned.safetensors")).Loaded.finetuned, "tuned.safetensors");
});

test("a model with a shorter context is patched into one with a longer one", async () => {
  const { ask } = engines["trainer-cpu"];
  const [weights, config] = ["model.safetensors", "config.json"].map((name) => readFileSync(`${GOLDEN}/hf/${name}`));
  const short = JSON.parse(config);
  const before = short.text_config.max_position_embeddings;
  short.text_config.max_position_embeddings = 24;
  await ask({ Files: { place: "tiny" } }, { files: [["config.json", config], ["model.safetensors", weights]] });
  const cut = cutRows(weights, "text_model.embeddings.position_embedding.weight", 24);
  await ask({ Files: { place: "short" } }, { files: [["config.json", Buffer.from(JSON.stringify(short))], ["model.safetensors", cut]] });
  for (const [pretrained, finetuned, context] of [["tiny", "short", before], ["short", "tiny", 24]]) {
    const [{ Loaded }] = await ask({ Load: { pretrained: { Disk: pretrained }, finetuned: { Disk: finetuned } } });
    assert.deepEqual([Loaded?.finetuned, Loaded?.context], [finetuned, context]);
    await ask({ Image: { image: 1, on_device: false } }, { bytes: readFileSync(`${GOLDEN}/images/square-circle.png`) });
    const [{ Curve }] = await ask({ Curve: { image: 1, captions: CAPTIONS, alphas: [0, 0.5, 1] } });
    // All other weights are the same.
    for (const similarities of Curve.similarities) assertClose(pretrained, similarities, Curve.similarities[0], 1e-6);
  }
});

/// A safetensors file with the first rows of a tensor alone.
function cutRows(bytes, name, rows) {
  const size = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + size));
  const parts = [];
  let end = 0;
  const entries = Object.entries(header).filter(([tensor]) => tensor !== "__metadata__");
  for (const [tensor, entry] of entries.sort(([, one], [, other]) => one.data_offsets[0] - other.data_offsets[0])) {
    const [start, stop] = entry.data_offsets.map((offset) => 8 + size + offset);
    const length = tensor === name ? ((stop - start) / entry.shape[0]) * rows : stop - start;
    if (tensor === name) entry.shape[0] = rows;
    parts.push(bytes.subarray(start, start + length));
    entry.data_offsets = [end, (end += length)];
  }
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, ...parts]);
}

test("without WebGPU its engine reports that", async () => {
  const { open, close } = await engine(browsers["trainer-cpu"], site, "engine-gpu");
  assert.match((await open()).Failed.reason, /WebGPU/);
  await close();
});

test("an engine that only scores refuses to train", async () => {
  const { ask, open, close } = await engine(browsers["trainer-cpu"], site, "engine-cpu");
  assert.equal((await open()).Opened?.backend, "CPU");
  assert.match((await ask({ StartRun: { run: 1, settings: RUN } }))[0].Failed.reason, /doesn't train/);
  await close();
});

test("downloads are within their limits, with every engine", async () => {
  const list = await sizes(DIST);
  assert.equal(list.filter(({ name }) => name.endsWith(".wasm")).length, 6);
  for (const name of ["engine-cpu", "engine-gpu"]) {
    const { all, wasm } = firstVisit(list, name);
    assert.ok(wasm > 0 && wasm < LIMITS.wasm, `${name}: ${wasm} bytes of wasm`);
    assert.ok(all < LIMITS.all, `${name}: ${all} bytes`);
  }
  for (const name of Object.keys(ENGINES)) {
    const bytes = program(list, name);
    assert.ok(bytes > 0 && bytes < LIMITS.trainer, `${name}: ${bytes} bytes`);
  }
});
