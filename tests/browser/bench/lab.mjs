// The time and the result of the lab's second lesson on the CPU engine, and the page's response times meanwhile.
//
//     cargo xtask bench web --lab [--seed N]
import { DIST, launch, lab } from "../lib.mjs";
import { serve } from "../server.mjs";

const PATIENCE = 1_800_000;
/// Key presses during training, and the milliseconds between them.
const PRESSES = 60;
const REST = 150;

const at = process.argv.indexOf("--seed");
const seed = at < 0 ? 0 : Number(process.argv[at + 1]);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const site = await serve(DIST);
const browser = await launch();
const { page, context } = await lab(browser, site, { query: "?lab&engine=cpu", hash: `#v=lessons&l=hard-negatives&q=1&seed=${seed}` });
page.setDefaultTimeout(PATIENCE);
await page.locator("#run-lesson:not([disabled])").click();
const began = performance.now();
// In the scene editor, during training: the time from a key to the updated frame.
await page.waitForFunction(() => document.querySelector(".working progress")?.value > 0.02);
await page.locator(".tabs a", { hasText: "Draw" }).click();
await page.locator(".handle").first().focus();
const answers = await page.evaluate(
  async ([presses, rest]) => {
    const handle = document.querySelector(".handle");
    const all = [];
    for (let press = 0; press < presses; press++) {
      const before = handle.getAttribute("cx");
      const key = press % 2 ? "ArrowLeft" : "ArrowRight";
      const began = performance.now();
      handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      while (handle.getAttribute("cx") === before) await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      all.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, rest));
    }
    return all;
  },
  [PRESSES, REST],
);
// Late frames are delayed input.
await page.locator(".tabs a", { hasText: "Lessons" }).click();
await page.locator(".lesson-card h2 a").nth(1).click();
const longest = await page.evaluate(async () => {
  let [last, longest] = [performance.now(), 0];
  for (let frame = 0; frame < 300; frame++) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
});
await page.waitForSelector("#happened");
const seconds = (performance.now() - began) / 1e3;
const happened = await page.locator("#happened").textContent();
await page.locator(".tabs a", { hasText: "Train" }).click();
const run = await page.locator("#run-state").textContent();
console.log(`seed ${seed}: ${seconds.toFixed(0)} s in total. ${happened.trim()}`);
console.log(run.trim());
console.log(`response to a key: ${median(answers).toFixed(0)} ms (median of ${PRESSES}), at most ${Math.max(...answers).toFixed(0)} ms; the longest frame of the lesson's page takes ${longest.toFixed(0)} ms`);
await context.close();
await browser.close();
await site.close();
