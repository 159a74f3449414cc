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

/** What tells that a record is of an erased image. */
export interface ErasedLeads {
  /** 64 hexadecimal digits each */
  readonly digests: ReadonlySet<string>;
  /** Where the images lay, with the digest of each: a record that was refused before its bytes were read says nothing else */
  readonly uris: ReadonlyMap<string, string>;
}

/** The erased image that a record in quarantine is of, 64 hexadecimal digits; null where it is of none. */
export function erasedImageOf({ sha256, uri }: Rejected, { digests, uris }: ErasedLeads): string | null {
  if (sha256 === null) return uris.get(uri) ?? null;
  return digests.has(sha256) ? sha256 : null;
}

/** Whether a record in quarantine is of one of these images and still says where it lay. */
function isUnredacted(one: Rejected, leads: ErasedLeads): boolean {
  return one.uri !== ERASED_URI && erasedImageOf(one, leads) !== null;
}

/**
 * The segment without what leads to these images: their uri, origin, licence, pack and embedding. Digest, scores and perceptual hash
 * stay, so that what was chosen from them stays. Where it has none of them it is the same.
 */
export function redactedSegment({ header, batch }: Segment, leads: ErasedLeads): Segment {
  return { header: redactedHeader(header, leads), batch: redactedBatch(batch, leads.digests) };
}

function redactedHeader(header: SegmentHeader, leads: ErasedLeads): SegmentHeader {
  if (!header.rejected.some((one) => isUnredacted(one, leads))) return header;
  return {
    ...header,
    rejected: header.rejected.map((one) => (isUnredacted(one, leads) ? redactedRefusal(one) : one)),
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
