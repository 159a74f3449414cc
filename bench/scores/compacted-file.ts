import { crc32 } from "node:zlib";
import { parquetMetadata } from "hyparquet";
import {
  COMPACTED_METADATA,
  CompactedFile,
  FILE_START,
  type PlacedSegment,
} from "../../operators/stages/compacted-file.js";
import { compactedBatch } from "../../schemas/compacted-rows.js";
import type { ScoreFormat } from "./formats.js";

/** What `sluice compact` writes and `readSegment` reads. */
export const compactedFile: ScoreFormat = {
  write: (segments) => {
    const file = new CompactedFile(segments[0]!.batch);
    const groups = segments.map(({ header, batch }) => file.add(header, batch));
    return Promise.resolve(Buffer.concat([FILE_START, ...groups, file.end()]));
  },
  read: (file, onColumns) => {
    // The stubs say where the row groups lie; here the file itself does.
    const { key_value_metadata } = parquetMetadata(Uint8Array.from(file.subarray(-200_000)).buffer);
    const text = key_value_metadata?.find(({ key }) => key === COMPACTED_METADATA)?.value ?? "[]";
    for (const { place } of JSON.parse(text) as PlacedSegment[]) {
      const bytes = file.subarray(place.start, place.end);
      if (crc32(bytes) !== place.crc32) throw new Error("the checksum is another");
      onColumns(compactedBatch(bytes, place));
    }
    return Promise.resolve();
  },
};
