import { decodeSegment, encodeSegment } from "../../schemas/segment.js";
import type { ScoreFormat } from "./formats.js";

/** Segments as a scorer writes them, one behind the other, each behind its length. */
export const arrowSegments: ScoreFormat = {
  write: (segments) => {
    const parts = segments.flatMap((segment) => {
      const bytes = encodeSegment(segment);
      const length = Buffer.alloc(8);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    });
    return Promise.resolve(Buffer.concat(parts));
  },
  read: (file, onColumns) => {
    const view = Buffer.from(file.buffer, file.byteOffset, file.length);
    for (let at = 0; at < file.length;) {
      const length = view.readUInt32LE(at);
      onColumns(decodeSegment(file.subarray(at + 8, at + 8 + length), "segment").batch);
      at += 8 + length;
    }
    return Promise.resolve();
  },
};
