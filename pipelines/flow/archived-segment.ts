import type { ErrorCode } from "../../schemas/errors.js";
import type { ArchivedSegment } from "../../schemas/observed.js";
import { BYTES } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";

/** What an archived segment comes to, for those that observe. */
export function archivedSegment({ header, batch }: Segment): ArchivedSegment {
  const { teacher, partition, origin, start, end, counts, watermarkMs } = header;
  const quarantined: Partial<Record<ErrorCode, number>> = {};
  for (const { code } of header.rejected) quarantined[code] = (quarantined[code] ?? 0) + 1;
  let sizeBytes = 0;
  let keptBytes = 0;
  for (let row = 0; row < batch.count; row++) {
    const bytes = batch.sizeBytes[row]!;
    sizeBytes += bytes;
    if (batch.bytes[row] === BYTES.kept) keptBytes += bytes;
  }
  const place = { teacher, partition, origin, start, end };
  return { event: "segment.archived", ...place, counts, quarantined, sizeBytes, keptBytes, watermarkMs };
}
