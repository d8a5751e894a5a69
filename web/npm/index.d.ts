export interface Scores {
  /** Cosine similarity of each caption with the image, from -1 to 1. */
  similarities: number[];
  /** Softmax of the similarities times the model's scale. */
  probabilities: number[];
}

export interface Negative {
  text: string;
  /** What was done, in SugarCrepe's terms, such as "replace_obj". */
  kind: string;
  from: string;
  to: string;
}

export interface Model {
  name: string;
  finetuned: string | null;
  parameters: number;
  /** Width and height of the model's input, in pixels. */
  image_size: number;
  /** Longest caption, in tokens. */
  context: number;
}

export type Style = "replace" | "negclip" | "swap" | "shuffle" | "mixed";

export class CloveError extends Error {}

export class Engine {
  private constructor();
  /** The back end, the adapter and the models that are open. */
  about: { backend: string; adapter: string; model: Model };
  score(image: Blob | ArrayLike<number>, captions: string[], options?: { alpha?: number }): Promise<Scores>;
  negatives(caption: string, options?: { style?: Style; count?: number; seed?: number; others?: string[] }): Promise<Negative[]>;
  load(pretrained: Iterable<File>, finetuned?: Iterable<File>): Promise<Model>;
  ask(ask: unknown, bytes?: Uint8Array | null, files?: File[]): Promise<any>;
  close(): void;
}

/** Starts an engine on the CPU (one core, WebAssembly SIMD) or on WebGPU, and opens the scene models. */
export function createEngine(options?: { device?: "cpu" | "gpu" }): Promise<Engine>;
