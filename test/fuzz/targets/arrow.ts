import { crc32 } from "node:zlib";
import { testSegment, type TestRecord } from "../../fixtures/archive.js";
import { crcDigits } from "../../../schemas/sealed-json.js";
import { decodeSegment, decodeSegmentHeader, encodeSegment } from "../../../schemas/segment.js";
import { uniform } from "../../fixtures/seeded-weights.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, mutateBytes, oneOf } from "../mutate.js";

const CHAIN = { teacher: "ab".repeat(32), stream: "images", partition: 0, origin: 0 };
const MARK = Buffer.from("\u0001crc32\u0001");
const DIGITS = 17;

/** Gives a changed segment the checksums of its bytes, as a forger would: what reads Arrow is reached. */
function sealed(bytes: Uint8Array): Uint8Array {
  const made = Buffer.from(bytes);
  const mark = made.lastIndexOf(MARK);
  const end = made.length - 10;
  if (mark < 0 || end < 0) return made;
  const start = end - made.readInt32LE(end);
  if (start < 0 || start > mark || mark + MARK.length + DIGITS > made.length) return made;
  const at = mark + MARK.length;
  made.write("00000000:00000000", at, "latin1");
  made.write(`${crcDigits(crc32(made.subarray(start)))}:${crcDigits(crc32(made.subarray(0, start)))}`, at, "latin1");
  return made;
}

function recordsOf(next: () => number, count: number): TestRecord[] {
  return Array.from({ length: count }, (_, at) =>
    next() < 0.1 ? { refused: "no picture" } : { image: at, logits: Array.from({ length: 6 }, () => next() * 4) },
  );
}

export const ARROW: FuzzTarget = {
  name: "arrow",
  what: "archive segments (Arrow IPC), with checksums that fit",
  extension: "arrow",
  prepare: async () => {
    const next = uniform(1);
    const corpus = [null, 6].flatMap((allLogits) =>
      [0, 1, 12].map((count) => encodeSegment(testSegment(CHAIN, 0, recordsOf(next, count), 4, { allLogits }))),
    );
    return {
      make: (draw) => {
        const changed = mutateBytes(draw, oneOf(draw, corpus), oneOf(draw, corpus));
        return below(draw, 10) === 0 ? changed : sealed(changed);
      },
      run: async (bytes) => {
        try {
          decodeSegmentHeader(bytes.subarray(Math.max(0, bytes.length - 16_384)), "scores/x.arrow");
        } catch (error) {
          if ((error as { code?: string }).code !== "E_SEGMENT_CORRUPT") throw error;
        }
        const { header, batch } = decodeSegment(bytes, "scores/x.arrow");
        if (batch.count !== header.counts.scored + header.counts.copied) throw new RangeError("rows were not counted");
        for (let row = 0; row < batch.count; row++) batch.uri.get(row);
      },
    };
  },
};
