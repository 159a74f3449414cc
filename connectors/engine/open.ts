import { availableParallelism } from "node:os";
import { counted } from "../../schemas/counted.js";
import type { EngineConfig } from "../../schemas/config.js";
import { SluiceError, isSluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { candidateBackends, type Backend } from "./backends.js";
import type { Engine, TeacherFiles } from "./engine.js";
import { batchingOf, RunSize } from "./pool/batching.js";
import type { Batching } from "./pool/probe.js";
import { BATCHES_A_WORKER, startPool, type WorkerPool } from "./pool/worker-pool.js";

export interface OpenEngineOptions {
  readonly nowMs?: () => number;
  /** Lines for the person: the batch that was found, memory that ran short */
  readonly onNote?: (line: string) => void;
}

/**
 * Loads a teacher into a pool of workers, on the best backend that is present and runs it, and probes whether its
 * scores depend on the batch. Throws E_ENGINE_UNAVAILABLE, E_ENGINE_LOAD, E_ENGINE_SHAPE, E_TEACHER_LABELS, E_ENGINE_CRASH.
 */
export async function openEngine(
  teacher: TeacherFiles,
  config: EngineConfig,
  { nowMs = () => performance.now(), onNote = () => undefined }: OpenEngineOptions = {},
): Promise<Engine> {
  const { pool, backend } = await firstThatRuns(candidateBackends(teacher.card.format, config), teacher, config);
  try {
    const { fixedBatch } = pool.runner;
    const batching = await batchingOf({
      score: ({ count, pixels }) => pool.run({ count, pixels, mostAtOnce: count, padTo: fixedBatch }),
      imageBytes: pixelBytes(teacher.card.input),
      fixedBatch,
      asked: config.batch,
      device: backend.device,
      nowMs,
      onNote,
    });
    return engineOver(pool, teacher.card, batching, onNote);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function firstThatRuns(
  candidates: readonly Backend[],
  teacher: TeacherFiles,
  config: EngineConfig,
): Promise<{ pool: WorkerPool; backend: Backend }> {
  const failures: unknown[] = [];
  for (const backend of candidates) {
    const { kind, name, device, isolation } = backend;
    const setup = { kind, backend: name, card: teacher.card, folder: teacher.folder, threads: config.threads };
    const devices = device === "gpu" ? config.devices : undefined;
    try {
      const pool = await startPool(setup, {
        isolation: config.isolation === "auto" ? isolation : config.isolation,
        workers: config.workers ?? (device === "gpu" ? (devices?.length ?? 1) : availableParallelism()),
        ...(devices === undefined ? {} : { devices }),
      });
      return { pool, backend };
    } catch (error) {
      // The model contradicts its card: no other backend mends that.
      if (isSluiceError(error, "E_ENGINE_SHAPE") || isSluiceError(error, "E_TEACHER_LABELS")) throw error;
      failures.push(error);
    }
  }
  throw failures[0];
}

function engineOver(pool: WorkerPool, card: ModelCard, batching: Batching, onNote: (line: string) => void): Engine {
  const { fixedBatch, name, version, backend, device } = pool.runner;
  const padTo = fixedBatch ?? (batching.batchInvariant === "padded" ? batching.batch : null);
  const runSize = new RunSize(batching.batch, padTo, onNote);
  const imageBytes = pixelBytes(card.input);
  return {
    get info() {
      return { name, version, backend, device, batchInvariant: batching.batchInvariant, batch: runSize.batch };
    },
    parallelism: pool.workers * BATCHES_A_WORKER,
    async score({ count, pixels }) {
      if (count === 0) return new Float32Array(0);
      if (pixels.length !== count * imageBytes) {
        throw new SluiceError(
          "E_ENGINE_SHAPE",
          `Expected ${counted(count, "image")} of ${imageBytes} bytes each (${card.input.width} x ${card.input.height}, ${card.input.colour}), found ${pixels.length} bytes.`,
          { expected: count * imageBytes, found: pixels.length },
        );
      }
      return await runSize.fit(count, (mostAtOnce) => pool.run({ pixels, count, mostAtOnce, padTo }));
    },
    close: () => pool.close(),
  };
}
