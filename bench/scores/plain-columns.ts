import { RUN_COLUMNS, type RunColumn } from "../../schemas/run-columns.js";
import { DIGEST_BYTES, type ScoredBatch, type TextColumn } from "../../schemas/scored-batch.js";

/** The columns that a batch without all logits and without embeddings has. */
export const COLUMNS: readonly RunColumn[] = RUN_COLUMNS.filter(
  ({ field }) => field !== "allLogits" && field !== "embedding",
);

/** A column's values as the row-wise writers take them: a value a row, lists as arrays. */
export function plainValues({ field, kind }: RunColumn, batch: ScoredBatch): unknown[] {
  const column = batch[field];
  if (kind === "text" || kind === "optional text") {
    return Array.from({ length: batch.count }, (_, row) => (column as TextColumn).get(row));
  }
  const values = column as Int32Array;
  const width = kind === "digest" ? DIGEST_BYTES : kind.endsWith("list") ? batch.topM : 1;
  if (width === 1) return Array.from(values);
  return Array.from({ length: batch.count }, (_, row) => {
    const part = values.subarray(row * width, (row + 1) * width);
    return kind === "digest" ? part : Array.from(part);
  });
}

/** Lists, or single values, as one typed array. */
export function flattened<
  Array extends { set(values: ArrayLike<unknown>, at: number): void; [index: number]: unknown },
>(rows: ArrayLike<unknown>, width: number, into: Array): Array {
  for (let row = 0; row < rows.length; row++) {
    const value = rows[row];
    if (width === 1) into[row] = value;
    else into.set(value as ArrayLike<unknown>, row * width);
  }
  return into;
}
