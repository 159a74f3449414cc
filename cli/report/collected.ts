import type { Collected } from "../../pipelines/collect.js";
import { counted } from "../../schemas/counted.js";
import { leavingLines } from "./retired.js";
import { bytesText } from "../wording.js";

/** As the members of a `--json` result. */
export function collectedObject({ refused, ...rest }: Collected, changed: boolean): object {
  return {
    changed,
    ...rest,
    refused: refused.map(({ code, message, context }) => ({ key: context["key"] ?? null, code, message })),
  };
}

/** The same for people. */
export function collectedText(found: Collected, changed: boolean): string {
  const { versions, needed, packs, runs, attempts, checkpoints, refused } = found;
  const lines = leavingLines(versions, changed);
  const say = (did: string, would: string, what: string): void => void lines.push(`${changed ? did : would} ${what}`);
  if (packs.images > 0)
    say(
      "Took",
      "Would take",
      `${counted(packs.images, "image")} that nobody needs out of packs (${bytesText(packs.imageBytes)}); their objects go an hour later`,
    );
  if (packs.restored > 0) say("Put", "Would put", `${counted(packs.restored, "image")} back that are needed again`);
  if (packs.deleted > 0) {
    const orphans = packs.orphans === 0 ? "" : `, ${packs.orphans} of segments that never came to be`;
    say(
      "Deleted",
      "Would delete",
      `${counted(packs.deleted, "pack")} that nothing leads to (${bytesText(packs.deletedBytes)}${orphans})`,
    );
  }
  if (runs.objects > 0)
    say(
      "Deleted",
      "Would delete",
      `${counted(runs.objects, "object")} that runs have taken over (${bytesText(runs.sizeBytes)})`,
    );
  if (attempts.objects > 0)
    say(
      "Deleted",
      "Would delete",
      `${counted(attempts.objects, "file")} of attempts to publish that lost (${bytesText(attempts.sizeBytes)})`,
    );
  if (checkpoints.objects > 0)
    say(
      "Deleted",
      "Would delete",
      `${counted(checkpoints.objects, "checkpoint")} of what is no longer declared (${bytesText(checkpoints.sizeBytes)})`,
    );
  const isNothing = lines.length === 0;
  if (isNothing) lines.push("Nothing to collect.");
  if (needed === null)
    lines.push(
      "All kept images stay: nothing is declared of the stream, or it keeps the bytes of all (retainBytes: all).",
    );
  else lines.push(`${counted(needed, "image")} ${needed === 1 ? "is" : "are"} needed.`);
  if (packs.left > 0)
    lines.push(
      `${counted(packs.left, "image")} that nobody needs stay: most of their packs is needed, or no run has them yet (\`sluice compact\`).`,
    );
  if (packs.erased > 0)
    lines.push(
      `${counted(packs.erased, "image")} that ${packs.erased === 1 ? "was" : "were"} erased ${packs.erased === 1 ? "lies" : "lie"} in packs still: the erasure did not come to its end. ` +
        "`sluice erase --yes` goes on with it.",
    );
  for (const { message } of refused) lines.push(`Left as it is: ${message}`);
  if (!changed && !isNothing) lines.push("Nothing was changed; `sluice gc --yes` does it.");
  return lines.join("\n");
}
