// The package's API: an engine in a worker of its own. The messages are those of web/src/protocol.

const WORKERS = {
  cpu: () => new Worker(new URL("./engine-cpu/engine-cpu_loader.js", import.meta.url), { type: "module" }),
  gpu: () => new Worker(new URL("./engine-gpu/engine-gpu_loader.js", import.meta.url), { type: "module" }),
};

/** An engine that can't start, or a request that it refuses. */
export class CloveError extends Error {
  name = "CloveError";
}

/** Starts an engine and opens the scene models. */
export async function createEngine({ device = "cpu" } = {}) {
  if (!Object.hasOwn(WORKERS, device)) throw new CloveError(`unknown device ${device}; use "cpu" or "gpu"`);
  const engine = new Engine(WORKERS[device]());
  try {
    await engine.ready;
    const [pretrained, deltas] = await Promise.all(["scenes/pretrained.safetensors", "scenes/clove.deltas"].map(file));
    engine.about = (await engine.ask({ Open: { pretrained: pretrained.length } }, join(pretrained, deltas))).Opened;
  } catch (error) {
    engine.close();
    throw error;
  }
  return engine;
}

/** A running engine. Make one by createEngine. */
export class Engine {
  #worker;
  #waiting = new Map();
  #requests = 0;
  #files = 0;
  #lexicon;
  #ended;

  constructor(worker) {
    this.#worker = worker;
    this.ready = new Promise((resolve, reject) => {
      this.#waiting.set("ready", { resolve, reject });
    });
    worker.onmessage = ({ data: [text] }) => {
      if (text === "ready") return this.#settle("ready", "resolve");
      const { id, answer } = JSON.parse(text);
      if (answer.Failed) this.#settle(id, "reject", new CloveError(answer.Failed.reason));
      else if (!answer.Progress) this.#settle(id, "resolve", answer);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      this.#end(event.message || "the engine stopped");
    };
  }

  /** Scores captions against an image (a Blob or the bytes of a file). alpha patches: 0 is pretrained, 1 fine-tuned. */
  async score(image, captions, { alpha = 0.6 } = {}) {
    const bytes = image instanceof Blob ? new Uint8Array(await image.arrayBuffer()) : Uint8Array.from(image);
    // Both are sent at once, so no other image comes between.
    const [, { Scores }] = await Promise.all([
      this.ask({ Image: { image: 0 } }, bytes),
      this.ask({ Score: { image: 0, captions, alpha } }),
    ]);
    return { similarities: Scores.similarities, probabilities: Scores.probabilities };
  }

  /** Makes hard negatives of a caption: [{ text, kind, from, to }]. */
  async negatives(caption, { style = "mixed", count = 3, seed = 0, others = [] } = {}) {
    this.#lexicon ??= file("english.lexicon").then((bytes) => this.ask("Lexicon", bytes));
    await this.#lexicon;
    return (await this.ask({ Negatives: { caption, others, style, count, seed } })).Negatives.negatives;
  }

  /** Opens other models: Files of a folder in Hugging Face or open_clip layout, and of a fine-tuned model, if there is one. */
  async load(pretrained, finetuned) {
    const take = async (files) => {
      if (!files) return null;
      const place = `model ${++this.#files}`;
      await this.ask({ Files: { place } }, null, Array.from(files));
      return { Disk: place };
    };
    const places = { pretrained: await take(pretrained), finetuned: await take(finetuned) };
    return (await this.ask({ Load: places })).Loaded;
  }

  /** Sends a request of the protocol and resolves to its answer. Bytes are transferred. */
  ask(ask, bytes = null, files = []) {
    if (this.#ended) return Promise.reject(new CloveError(this.#ended));
    const id = this.#requests++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage([JSON.stringify({ id, ask }), bytes, files], bytes ? [bytes.buffer] : []);
    });
  }

  /** Ends the worker; requests without an answer fail. */
  close() {
    this.#end("the engine was closed");
  }

  #settle(id, how, value) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.[how](value);
  }

  #end(reason) {
    this.#ended ??= reason;
    this.#worker.terminate();
    for (const id of [...this.#waiting.keys()]) this.#settle(id, "reject", new CloveError(this.#ended));
  }
}

async function file(name) {
  const url = new URL(name, new URL("./", import.meta.url));
  const response = await fetch(url);
  if (!response.ok) throw new CloveError(`${url}: status ${response.status}; serve the package's files beside index.js`);
  return new Uint8Array(await response.arrayBuffer());
}

function join(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
