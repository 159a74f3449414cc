import { parentPort } from "node:worker_threads";
import { outputWidth } from "../../../schemas/output-width.js";
import { pixelBytes, toTensor } from "../../../schemas/pixels.js";
import { checkOutput, writeScores, type ModelRunner, type RunnerSetup } from "./model-runner.js";
import { toPlainError, type FromWorker, type RunRequest, type ToWorker } from "./worker-protocol.js";

/** Sends an answer; `moved` buffers change hands where the channel can do that. Resolves when it is on its way. */
type Reply = (message: FromWorker, moved: ArrayBuffer[]) => Promise<void>;

/** Makes this thread or child process an engine worker. They differ only in how messages travel. */
export function serveAsWorker(load: (setup: RunnerSetup) => Promise<ModelRunner>): void {
  let model: WorkerModel | null = null;
  // Messages are served in the order in which they came, one at a time.
  let last: Promise<void> = Promise.resolve();
  const serve = (message: ToWorker, reply: Reply, end: () => void) => {
    last = last.then(async () => {
      if (message.type === "load") model = await answerLoad(message.setup, load, reply);
      else if (message.type === "run") await answerRun(model, message, reply);
      else {
        await model?.close();
        end();
      }
    });
  };

  if (parentPort !== null) {
    const port = parentPort;
    const reply: Reply = async (message, moved) => {
      port.postMessage(message, moved);
    };
    port.on("message", (message: ToWorker) => {
      serve(message, reply, () => {
        port.close();
      });
    });
    return;
  }
  // Ctrl-C reaches the whole process group: the parent decides when this worker ends.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", () => process.exit(0));
  const reply: Reply = (message) =>
    new Promise((resolve) => {
      process.send?.(message, () => {
        resolve();
      });
    });
  process.on("message", (message: ToWorker) => {
    serve(message, reply, () => {
      process.disconnect();
    });
  });
}

async function answerLoad(
  setup: RunnerSetup,
  load: (setup: RunnerSetup) => Promise<ModelRunner>,
  reply: Reply,
): Promise<WorkerModel | null> {
  try {
    const runner = await load(setup);
    const model = new WorkerModel(runner, setup);
    await model.trial();
    const { name, version, backend, device, fixedBatch } = runner;
    await reply({ type: "ready", runner: { name, version, backend, device, fixedBatch } }, []);
    return model;
  } catch (error) {
    const prefix = `Expected to run teacher ${setup.card.name} on ${setup.kind} ${setup.backend}, found`;
    await reply({ type: "unready", error: toPlainError(error, "E_ENGINE_LOAD", prefix) }, []);
    return null;
  }
}

async function answerRun(
  model: WorkerModel | null,
  message: RunRequest & { readonly id: number },
  reply: Reply,
): Promise<void> {
  const { id, count } = message;
  try {
    if (model === null) throw new Error("no model is loaded");
    const logits = await model.run(message);
    await reply({ type: "done", id, logits }, [logits.buffer]);
  } catch (error) {
    const failure = toPlainError(error, "E_ENGINE_RUN", `Expected to run a batch of ${count}, found`);
    await reply({ type: "failed", id, error: failure }, []);
  }
}

/** A loaded model with the card that says how to feed it and how to read it. */
class WorkerModel {
  readonly #runner: ModelRunner;
  readonly #setup: RunnerSetup;
  /** float32 input of the longest run so far, used again */
  #tensor = new Float32Array(0);

  constructor(runner: ModelRunner, setup: RunnerSetup) {
    this.#runner = runner;
    this.#setup = setup;
  }

  /** One black image: finds operators that the backend lacks and outputs that are not the card's, and warms up. */
  async trial(): Promise<void> {
    const count = this.#runner.fixedBatch ?? 1;
    const pixels = new Uint8Array(count * pixelBytes(this.#setup.card.input));
    await this.run({ pixels, count, mostAtOnce: count, padTo: null });
  }

  async run({ pixels, count, mostAtOnce, padTo }: RunRequest): Promise<Float32Array<ArrayBuffer>> {
    const { card } = this.#setup;
    const imageBytes = pixelBytes(card.input);
    const width = outputWidth(card);
    const scores = new Float32Array(count * width);
    for (let from = 0; from < count; from += mostAtOnce) {
      const part = Math.min(mostAtOnce, count - from);
      const rows = padTo ?? part;
      const images = pixels.subarray(from * imageBytes, (from + part) * imageBytes);
      const output = await this.#runner.run(this.#tensorOf(images, part, rows), rows);
      checkOutput(card, output, rows);
      writeScores(card, output, scores.subarray(from * width, (from + part) * width));
    }
    return scores;
  }

  #tensorOf(images: Uint8Array, count: number, rows: number): Float32Array {
    const { card } = this.#setup;
    const length = rows * pixelBytes(card.input);
    if (this.#tensor.length < length) this.#tensor = new Float32Array(length);
    const tensor = this.#tensor.subarray(0, length);
    toTensor({ count, pixels: images }, card, tensor);
    return tensor.fill(0, images.length);
  }

  /** The worker ends now: what its library cannot release, the system does. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#runner.close()]);
  }
}
