// Long checks: an engine's memory over many scores and training steps, and all lessons.
//
//     cargo xtask campaign lab-memory
import assert from "node:assert/strict";
import { DIST, engine, launch, lab, lesson, WEBGPU } from "../lib.mjs";
import { serve } from "../server.mjs";

/// Captions to score, those before the first reading of memory, and those per request.
const SCORES = 1_000;
const FIRST_SCORES = 50;
const AT_ONCE = { "engine-cpu": 1, "engine-gpu": 25 };
/// Training steps, and those before the first reading: the heap grows until batches have had all lengths of captions.
const STEPS = 2_500;
const FIRST_STEPS = 500;
const SMALL = { texts: "Captions", scenes: 100, negatives: "Mixed", loss: "Clove", learning_rate: 1e-4, image_rate: 0.25, steps: 3_000, batch: 2, seed: 0 };
/// Steps of a lesson's run, and the time limit of a lesson in milliseconds.
const LESSON_STEPS = 24;
const PATIENCE = 600_000;

const site = await serve(DIST);

/// Prints the use before and after, which may grow by `share`.
function level(what, before, after, share) {
  console.log(`${what}: ${before} bytes, then ${after}`);
  assert.ok(after <= before * (1 + share), what);
}

async function scores(browser, name) {
  const { ask, open, close, worker, page, countBuffers } = await engine(browser, site, name);
  await countBuffers();
  await open();
  await ask({ Sample: { image: 0, number: 0 } });
  // New captions of varying lengths: nothing is cached, and shapes change.
  const score = (from, to) =>
    page.evaluate(
      async ([from, to, atOnce]) => {
        const caption = (number) => `a red ball ${"left of a blue box ".repeat(number % 4)}${number}`;
        for (let number = from; number < to; number += atOnce) {
          const captions = Array.from({ length: atOnce }, (_, at) => caption(number + at));
          const [answer] = await window.ask({ Score: { image: 0, captions, alpha: 0.6 } });
          if (!answer.Scores) throw new Error(JSON.stringify(answer));
        }
      },
      [from, to, AT_ONCE[name]],
    );
  const memory = async () => [(await ask("Memory"))[0].Memory.bytes, (await worker.evaluate(() => self.buffers)).bytes];
  await score(0, FIRST_SCORES);
  const before = await memory();
  await score(FIRST_SCORES, SCORES);
  const after = await memory();
  for (const [at, what] of ["heap", "GPU buffers"].entries()) level(`${name}, ${what} after ${FIRST_SCORES} scores and after ${SCORES}`, before[at], after[at], 0.01);
  await close();
}

async function training(browser, name) {
  const { ask, open, close, page } = await engine(browser, site, name);
  await open();
  await ask({ StartRun: { run: 1, settings: SMALL } });
  const train = (count) =>
    page.evaluate(async (count) => {
      for (let step = 0; step < count; step++) {
        const [answer] = await window.ask({ Step: { run: 1 } });
        if (!answer.Step) throw new Error(JSON.stringify(answer));
      }
    }, count);
  const memory = async () => (await ask("Memory"))[0].Memory.bytes;
  await train(FIRST_STEPS);
  const before = await memory();
  await train(STEPS - FIRST_STEPS);
  level(`${name}, heap after ${FIRST_STEPS} steps of training and after ${STEPS}`, before, await memory(), 0.02);
  await close();
}

async function lessons(browser) {
  const { page, context, problems } = await lab(browser, site, { query: "?lab&engine=cpu", hash: `#v=lessons&n=${LESSON_STEPS}` });
  page.setDefaultTimeout(PATIENCE);
  const titles = await page.locator(".lesson-card h2 a").allTextContents();
  assert.equal(titles.length, 6);
  for (const title of titles) {
    const began = performance.now();
    await lesson(page, title);
    console.log(`${title}: complete after ${((performance.now() - began) / 1e3).toFixed(0)} s`);
  }
  assert.equal(await page.locator(".done").count(), titles.length);
  assert.deepEqual(problems, []);
  await context.close();
}

const cpu = await launch();
const gpu = await launch(...WEBGPU);
try {
  await scores(cpu, "engine-cpu");
  await training(cpu, "trainer-cpu");
  await lessons(cpu);
  await scores(gpu, "engine-gpu");
} finally {
  await cpu.close();
  await gpu.close();
  await site.close();
}
