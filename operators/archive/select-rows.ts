import type { Window } from "../../schemas/dataset.js";
import { PDQ_BYTES } from "../../schemas/pdq-hash.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { paneOf } from "../select/windows.js";

/** The batch with only the given rows, in their order. */
export function selectRows(batch: ScoredBatch, rows: readonly number[]): ScoredBatch {
  const classCount = batch.allLogits === null ? 0 : batch.allLogits.length / batch.count;
  const embeddingSize = batch.embedding === null ? 0 : batch.embedding.length / batch.count;
  const text = (column: ScoredBatch["uri"]): ScoredBatch["uri"] => ({ get: (row) => column.get(rows[row]!) });
  return {
    count: rows.length,
    topM: batch.topM,
    digest: gather(batch.digest, rows, DIGEST_BYTES),
    partition: gather(batch.partition, rows, 1),
    offset: gather(batch.offset, rows, 1),
    eventTimeMs: gather(batch.eventTimeMs, rows, 1),
    copied: gather(batch.copied, rows, 1),
    bytes: gather(batch.bytes, rows, 1),
    pack: text(batch.pack),
    uri: text(batch.uri),
    sizeBytes: gather(batch.sizeBytes, rows, 1),
    width: gather(batch.width, rows, 1),
    height: gather(batch.height, rows, 1),
    pdq: gather(batch.pdq, rows, PDQ_BYTES),
    pdqQuality: gather(batch.pdqQuality, rows, 1),
    licence: text(batch.licence),
    origin: text(batch.origin),
    notes: text(batch.notes),
    retryOf: gather(batch.retryOf, rows, 1),
    classes: gather(batch.classes, rows, batch.topM),
    keys: gather(batch.keys, rows, batch.topM),
    logits: gather(batch.logits, rows, batch.topM),
    logSumExp: gather(batch.logSumExp, rows, 1),
    allLogits: batch.allLogits === null ? null : gather(batch.allLogits, rows, classCount),
    embedding: batch.embedding === null ? null : gather(batch.embedding, rows, embeddingSize),
  };
}

type Column = Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array | BigUint64Array;

function gather<T extends Column>(column: T, rows: readonly number[], width: number): T {
  const made = new (column.constructor as new (length: number) => T)(rows.length * width);
  rows.forEach((row, index) => {
    made.set(column.subarray(row * width, (row + 1) * width) as never, index * width);
  });
  return made;
}

/** Rows by the pane that they lie in, those out of the window in none; one entry, and nothing copied, where all lie in one. */
export function rowsByPane(window: Window, batch: ScoredBatch): Map<number, ScoredBatch> {
  const rows = new Map<number, number[]>();
  for (let row = 0; row < batch.count; row++) {
    const pane = paneOf(window, Number(batch.eventTimeMs[row]!));
    if (pane === null) continue;
    const list = rows.get(pane);
    if (list === undefined) rows.set(pane, [row]);
    else list.push(row);
  }
  return new Map(
    [...rows].map(([pane, list]) => [pane, list.length === batch.count ? batch : selectRows(batch, list)]),
  );
}
