import type { PixelBatch } from "../../schemas/pixels.js";
import type { EngineInfo } from "../../schemas/segment.js";
import type { ModelCard } from "../../schemas/model-card.js";

/** A teacher on disk: its card and the folder that its files are relative to. */
export interface TeacherFiles {
  readonly card: ModelCard;
  readonly folder: string;
}

/**
 * Runs a teacher over batches of pixels. Implementations: onnx (onnxruntime-node), tfjs; each runs in worker threads.
 * Errors: E_ENGINE_UNAVAILABLE, E_ENGINE_LOAD, E_ENGINE_SHAPE, E_ENGINE_CRASH, E_TEACHER_LABELS.
 */
export interface Engine {
  readonly info: EngineInfo;
  /** How many batches run at once: as many calls of `score` keep it busy. */
  readonly parallelism: number;
  /**
   * Logits, float32, [count x C], row-major, as the model gives them (probabilities turned into logits by ln).
   * Takes over `batch.pixels` (its buffer is transferred). Not-finite logits are passed on: the caller judges rows.
   */
  score(batch: PixelBatch): Promise<Float32Array>;
  close(): Promise<void>;
}
