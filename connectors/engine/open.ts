import { availableParallelism } from "node:os";
import type { EngineConfig } from "../../schemas/config.js";
import { SluiceError, isSluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { pixelBytes, type PixelBatch } from "../../schemas/pixels.js";
import { candidateBackends, type Backend } from "./backends.js";
import type { Engine, TeacherFiles } from "./engine.js";
import { probeBatching, type Batching } from "./probe.js";
import { BATCHES_A_WORKER, startPool, type WorkerPool } from "./worker-pool.js";

/**
 * Loads a teacher into a pool of workers, on the best backend that is present and runs it, and probes whether its
 * scores depend on the batch. Throws E_ENGINE_UNAVAILABLE, E_ENGINE_LOAD, E_ENGINE_SHAPE, E_TEACHER_LABELS, E_ENGINE_CRASH.
 */
export async function openEngine(
  teacher: TeacherFiles,
  config: EngineConfig,
  nowMs: () => number = () => performance.now(),
): Promise<Engine> {
  const pool = await firstThatRuns(candidateBackends(teacher.card.format, config), teacher, config);
  try {
    return engineOver(pool, teacher.card, await batchingOf(pool, teacher.card, config.batch, nowMs));
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function firstThatRuns(
  candidates: readonly Backend[],
  teacher: TeacherFiles,
  config: EngineConfig,
): Promise<WorkerPool> {
  const failures: unknown[] = [];
  for (const { kind, name, device, isolation } of candidates) {
    const setup = { kind, backend: name, card: teacher.card, folder: teacher.folder, threads: config.threads };
    try {
      return await startPool(setup, {
        isolation: config.isolation === "auto" ? isolation : config.isolation,
        workers: config.workers ?? (device === "gpu" ? 1 : availableParallelism()),
      });
    } catch (error) {
      // The model contradicts its card: no other backend mends that.
      if (isSluiceError(error, "E_ENGINE_SHAPE") || isSluiceError(error, "E_TEACHER_LABELS")) throw error;
      failures.push(error);
    }
  }
  throw failures[0];
}

async function batchingOf(pool: WorkerPool, card: ModelCard, batch: number, nowMs: () => number): Promise<Batching> {
  const { fixedBatch } = pool.runner;
  // Under a fixed batch every run has that size; position and neighbours remain to be probed.
  const score = ({ count, pixels }: PixelBatch) => pool.run({ count, pixels, mostAtOnce: count, padTo: fixedBatch });
  return await probeBatching(score, pixelBytes(card.input), fixedBatch ?? batch, { nowMs, fixed: fixedBatch !== null });
}

function engineOver(pool: WorkerPool, card: ModelCard, batching: Batching): Engine {
  const { fixedBatch, name, version, backend, device } = pool.runner;
  const mostAtOnce = batching.batch;
  const padTo = fixedBatch ?? (batching.batchInvariant === "padded" ? batching.batch : null);
  const imageBytes = pixelBytes(card.input);
  return {
    info: { name, version, backend, device, ...batching },
    parallelism: pool.workers * BATCHES_A_WORKER,
    async score({ count, pixels }) {
      if (count === 0) return new Float32Array(0);
      if (pixels.length !== count * imageBytes) {
        throw new SluiceError(
          "E_ENGINE_SHAPE",
          `Expected ${count} images of ${imageBytes} bytes each (${card.input.width} x ${card.input.height}, ${card.input.colour}), found ${pixels.length} bytes.`,
          { expected: count * imageBytes, found: pixels.length },
        );
      }
      return await pool.run({ pixels, count, mostAtOnce, padTo });
    },
    close: () => pool.close(),
  };
}
