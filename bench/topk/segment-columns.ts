import { readFileSync } from "node:fs";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { decodeSegment } from "../../schemas/segment.js";

/** Segments one after the other, whole and checked, as the product reads them. */
export function* rankedColumns(files: Iterable<string>): Generator<ScoredBatch> {
  for (const file of files) yield decodeSegment(readFileSync(file), file).batch;
}
