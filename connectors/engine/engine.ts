import type { PixelBatch } from "../../schemas/pixels.js";
import type { EngineInfo } from "../../schemas/segment.js";
import type { ModelCard } from "../../schemas/model-card.js";

/** A teacher on disk: its card and the folder that its files are relative to. */
export interface TeacherFiles {
  readonly card: ModelCard;
  readonly folder: string;
}

/**
 * Runs a teacher over batches of pixels. Implementations: onnx (onnxruntime-node), tfjs; each runs in workers (threads
 * or processes), off the caller's event loop. Opened by `openEngine`, which throws E_ENGINE_UNAVAILABLE, E_ENGINE_LOAD,
 * E_ENGINE_SHAPE, E_TEACHER_LABELS, E_ENGINE_CRASH.
 */
export interface Engine {
  readonly info: EngineInfo;
  /** As many calls of `score` at once keep every worker busy (one batch running, one waiting at each); more wait. */
  readonly parallelism: number;
  /**
   * Logits, float32, [count x C], row-major, as the model gives them (probabilities turned into logits by ln). Where the card
   * names an embedding of D values, [count x (C + D)]: behind each row's logits its embedding.
   * `batch.pixels` must not change until the promise settles; it stays whole, whatever happens. A row does not depend
   * on the batch that it comes in (see `info.batchInvariant`). Not-finite logits are passed on: the caller judges rows.
   * Throws E_ENGINE_CRASH for a batch that ended its worker twice (other batches are not touched: cut it in halves to
   * find the image), E_ENGINE_RUN where the library refused the batch, E_ENGINE_SHAPE, E_CANCELLED after `close`.
   */
  score(batch: PixelBatch): Promise<Float32Array>;
  /** Lets running batches end, refuses waiting ones (E_CANCELLED), and resolves when every worker is gone. */
  close(): Promise<void>;
}
