import type { Compacted } from "../../pipelines/compact.js";
import { keys } from "../../schemas/keys.js";
import { bytesText, plural } from "../wording.js";

/** What one teacher's compaction came to. */
export interface TeacherCompacted extends Compacted {
  readonly teacher: string;
  readonly stream: string;
  readonly dryRun: boolean;
}

/** As the members of a `--json` result. */
export function compactedObject({ refused, ...rest }: TeacherCompacted): object {
  return {
    ...rest,
    refused: refused.map(({ chain, start, end, error }) => ({
      key: keys.segment(chain, start),
      partition: chain.partition,
      origin: chain.origin,
      start,
      end,
      code: error.code,
      message: error.message,
    })),
  };
}

/** The same for people. */
export function compactedText(one: TeacherCompacted): string {
  const { teacher, stream, segments, adopted, rows, files, bytesBefore, bytesAfter, swept, refused, dryRun } = one;
  const what = `of ${stream} under teacher ${teacher.slice(0, 12)}`;
  const before = bytesText(bytesBefore);
  const lines = dryRun
    ? [
        `Would compact ${plural(segments, "segment")} ${what} (${plural(rows, "row")}, ${before}) into ${plural(files, "file")}.`,
      ]
    : [
        `Compacted ${plural(segments, "segment")} ${what} (${plural(rows, "row")}) into ${plural(files, "file")}: ` +
          `${before} before, ${bytesText(bytesAfter ?? 0)} after.`,
      ];
  if (adopted > 0) lines.push(`  ${plural(adopted, "segment")} of these had been written by an earlier run`);
  if (swept.files > 0) lines.push(`  swept ${plural(swept.files, "needless copy", "needless copies")}`);
  for (const { chain, start, end, error } of refused) {
    const range = end > start ? `[${start}, ${end})` : `from ${start} on`;
    lines.push(`  left as it is: offsets ${range} of ${chain.stream}/${chain.partition}: ${error.message}`);
  }
  return lines.join("\n");
}
