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

/** A shorter run is mostly its beginning and its end: what limits it says nothing of longer ones, ms. */
const TELLING_MS = 10_000;

/** Two lines: the shares, and of a run that was long enough what to add. None where no time has passed. */
export function stageSharesText({ fromMs, untilMs, shares, limits }: StageShares): string[] {
  if (limits === null) return [];
  const parts = Object.entries(shares).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
  const tookMs = untilMs - fromMs;
  const advice = tookMs < TELLING_MS ? [] : [`  ${ADVICE[limits]}`];
  return [`Stages busy over ${durationText(tookMs)}: ${parts.join(", ")}.`, ...advice];
}
