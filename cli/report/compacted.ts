import type { Compacted } from "../../pipelines/compact.js";
import { keys } from "../../schemas/keys.js";
import { counted } from "../../schemas/counted.js";
import { bytesText } from "../wording.js";

/** What one teacher's compaction came to. */
export interface TeacherCompacted extends Compacted {
  readonly teacher: string;
  readonly stream: string;
  readonly dryRun: boolean;
}

/** As the members of a `--json` result. */
export function compactedObject({ refused, refusedPacks, ...rest }: TeacherCompacted): object {
  return {
    ...rest,
    refusedPacks: refusedPacks.map(({ code, message, context }) => ({ key: context["key"] ?? null, code, message })),
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
  const { teacher, stream, segments, rows, runs, merged, bytesBefore, bytesAfter, swept, refused, dryRun } = one;
  const { packs, refusedPacks } = one;
  const what = `of ${stream} under teacher ${teacher.slice(0, 12)}`;
  const before = bytesText(bytesBefore);
  const lines = dryRun
    ? [
        `Would compact ${counted(segments, "segment")} ${what} (${counted(rows, "row")}, ${before}) into ${counted(runs, "run")}.`,
      ]
    : [
        `Compacted ${counted(segments, "segment")} ${what} (${counted(rows, "row")}) into ${counted(runs, "run")}: ` +
          `${before} before, ${bytesText(bytesAfter ?? 0)} after.`,
      ];
  if (merged > 0) lines.push(`  merged others into ${counted(merged, "larger run")}`);
  if (swept.segments + swept.files > 0) {
    lines.push(
      `  deleted ${counted(swept.segments, "segment")} and ${counted(swept.files, "file")} that runs have taken over (${bytesText(swept.sizeBytes)})`,
    );
  }
  if (packs.merged > 0)
    lines.push(`  put the kept images of ${counted(packs.merged, "pack")} into ${counted(packs.into, "larger pack")}`);
  if (packs.swept > 0) lines.push(`  deleted ${counted(packs.swept, "pack")} whose images lie in others`);
  for (const { message } of refusedPacks) lines.push(`  left kept images where they are: ${message}`);
  for (const { chain, start, end, error } of refused) {
    const range = end > start ? `[${start}, ${end})` : `from ${start} on`;
    lines.push(`  stopped before offsets ${range} of ${chain.stream}/${chain.partition}: ${error.message}`);
  }
  return lines.join("\n");
}
