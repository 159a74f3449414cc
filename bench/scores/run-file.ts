import { crc32 } from "node:zlib";
import { parquetMetadata } from "hyparquet";
import { FILE_METADATA, FILE_START, RunFile } from "../../operators/archive/run-file.js";
import type { RowGroupPlace } from "../../schemas/run.js";
import { rowGroupBatch } from "../../schemas/run-columns.js";
import type { ScoreFormat } from "./formats.js";

/** What `sluice compact` writes and a reader of the archive reads. */
export const runFile: ScoreFormat = {
  write: (segments) => {
    const file = new RunFile(segments[0]!.batch);
    const groups = segments.map(({ header, batch }) => file.add(batch, header.start));
    const end = file.end({ places: groups.map(({ place }) => place) });
    return Promise.resolve(Buffer.concat([FILE_START, ...groups.map(({ bytes }) => bytes), end.bytes]));
  },
  read: (file, onColumns) => {
    // A run's index says where the row groups lie; here the file itself does.
    const { key_value_metadata } = parquetMetadata(Uint8Array.from(file.subarray(-200_000)).buffer);
    const text = key_value_metadata?.find(({ key }) => key === FILE_METADATA)?.value ?? '{"places":[]}';
    for (const place of (JSON.parse(text) as { places: RowGroupPlace[] }).places) {
      const bytes = file.subarray(place.start, place.end);
      if (crc32(bytes) !== place.crc32) throw new Error("the checksum is another");
      onColumns(rowGroupBatch(bytes, place));
    }
    return Promise.resolve();
  },
};
