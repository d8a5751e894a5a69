// Times onnxruntime-web in a dedicated worker, like the engine. Receives { provider, models, warmUps, runs, batch }, and sends the
// result described in onnx.mjs.

/// A file per provider: WebGPU loads another, larger wasm.
const FILES = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };
const START = 49406n;
const END = 49407n;

/// Values in [-2, 2], like normalised pixels, the same in each run.
function image(ort, batch) {
  const pixels = Float32Array.from({ length: batch * 3 * 224 * 224 }, (_, at) => ((at * 7919) % 4001) / 1000 - 2);
  return new ort.Tensor("float32", pixels, [batch, 3, 224, 224]);
}

function caption(ort, length) {
  const ids = BigInt64Array.from({ length }, (_, at) => BigInt(1 + ((at * 7919) % 49000)));
  ids[0] = START;
  ids[length - 1] = END;
  return new ort.Tensor("int64", ids, [1, length]);
}

async function time(session, x, { warmUps, runs }) {
  const times = [];
  for (let run = -warmUps; run < runs; run++) {
    const begin = performance.now();
    const { y } = await session.run({ x });
    // Waits for the GPU.
    const data = await y.getData();
    if (run >= 0) times.push(performance.now() - begin);
    if (data.length !== 512 * x.dims[0] || !data.every(Number.isFinite)) throw new Error("not an embedding");
    y.dispose();
  }
  times.sort((a, b) => a - b);
  const middle = times.length >> 1;
  return { median: times.length % 2 ? times[middle] : (times[middle - 1] + times[middle]) / 2, fastest: times[0] };
}

self.onmessage = async ({ data: options }) => {
  try {
    const ort = await import(`./node_modules/onnxruntime-web/dist/${FILES[options.provider]}`);
    ort.env.wasm.numThreads = 1;
    const fetched = async (name) => {
      const response = await fetch(options.models + name);
      if (!response.ok) throw new Error(`${name}: ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    };
    const [vision, text] = [await fetched("vision.onnx"), await fetched("text.onnx")];
    const session = { executionProviders: [options.provider], graphOptimizationLevel: "all" };
    const begin = performance.now();
    const tower = await ort.InferenceSession.create(vision, session);
    const textTower = await ort.InferenceSession.create(text, session);
    const openMs = performance.now() - begin;
    const timed = {
      image: await time(tower, image(ort, 1), options),
      text: await time(textTower, caption(ort, 77), options),
      text16: await time(textTower, caption(ort, 16), options),
    };
    if (options.batch) {
      const { median, fastest } = await time(tower, image(ort, options.batch), options);
      timed.imageBatch = { median: median / options.batch, fastest: fastest / options.batch };
    }
    const pick = (key) => Object.fromEntries(Object.entries(timed).map(([name, times]) => [name, times[key]]));
    self.postMessage({ version: ort.env.versions.web, ...pick("median"), openMs, fastest: pick("fastest") });
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
};
