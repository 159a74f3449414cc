import type { StageShares } from "../../schemas/stage-shares.js";
import { durationText } from "../wording.js";

const ADVICE: Readonly<Record<NonNullable<StageShares["limits"]>, string>> = {
  fetch:
    "fetch limits: images come slowly from where they lie; bring them nearer, or read more at once (decode.concurrency)",
  decode: "decode limits: add decoders (decode.concurrency), where cores are idle, or cores",
  score: "score limits: add workers (engine.workers) or GPUs (engine.devices)",
  archive: "archive limits: write larger segments (archive.segmentRecords), use a quicker store, or more partitions",
  waiting: "nothing limits: records come more slowly than they are scored",
};

/** Two lines: the shares, and what to add. None where no time has passed. */
export function stageSharesText({ fromMs, untilMs, shares, limits }: StageShares): string[] {
  if (limits === null) return [];
  const parts = Object.entries(shares).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
  return [`Stages busy over ${durationText(untilMs - fromMs)}: ${parts.join(", ")}.`, `  ${ADVICE[limits]}`];
}
