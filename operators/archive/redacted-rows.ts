import { ERASED_URI } from "../../schemas/erased.js";
import { BYTES, DIGEST_BYTES, type ScoredBatch, type TextColumn } from "../../schemas/scored-batch.js";
import type { Rejected, Segment, SegmentHeader } from "../../schemas/segment.js";
import { hexDigest } from "../image/image-in-flight.js";

/** Rows of a batch that are of these images (64 hexadecimal digits each), ascending. */
export function rowsOf(batch: ScoredBatch, digests: ReadonlySet<string>): number[] {
  const rows: number[] = [];
  for (let row = 0; row < batch.count; row++) {
    const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
    if (digests.has(hexDigest(digest))) rows.push(row);
  }
  return rows;
}

/** Whether a record in quarantine is of one of these images and still says where it lay. */
export function isUnredacted({ sha256, uri }: Rejected, digests: ReadonlySet<string>): boolean {
  return sha256 !== null && digests.has(sha256) && uri !== ERASED_URI;
}

/**
 * The segment without what leads to these images: their uri, origin, licence, pack and embedding. Digest, scores and perceptual hash
 * stay, so that what was chosen from them stays. Where it has none of them it is the same.
 */
export function redactedSegment({ header, batch }: Segment, digests: ReadonlySet<string>): Segment {
  return { header: redactedHeader(header, digests), batch: redactedBatch(batch, digests) };
}

function redactedHeader(header: SegmentHeader, digests: ReadonlySet<string>): SegmentHeader {
  if (!header.rejected.some((one) => isUnredacted(one, digests))) return header;
  return {
    ...header,
    rejected: header.rejected.map((one) => (isUnredacted(one, digests) ? redactedRefusal(one) : one)),
  };
}

/** A reason may name the file: only the code is kept. */
function redactedRefusal(one: Rejected): Rejected {
  return { ...one, uri: ERASED_URI, reason: "The image was erased." };
}

function redactedBatch(batch: ScoredBatch, digests: ReadonlySet<string>): ScoredBatch {
  const rows = new Set(rowsOf(batch, digests));
  if (rows.size === 0) return batch;
  const text = (column: TextColumn, value: string | null): TextColumn => ({
    get: (row) => (rows.has(row) ? value : column.get(row)),
  });
  const bytes = batch.bytes.slice();
  for (const row of rows) bytes[row] = BYTES.absent;
  let { embedding } = batch;
  if (embedding !== null) {
    const size = embedding.length / batch.count;
    embedding = embedding.slice();
    for (const row of rows) embedding.fill(Number.NaN, row * size, (row + 1) * size);
  }
  return {
    ...batch,
    bytes,
    embedding,
    pack: text(batch.pack, null),
    uri: text(batch.uri, ERASED_URI),
    licence: text(batch.licence, null),
    origin: text(batch.origin, null),
  };
}
