import type { StageShares } from "./stage-shares.js";

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

/** What to add where a stage holds up the others; null where the run was too short to tell, or no time has passed. */
export function stageAdvice({ fromMs, untilMs, limits }: StageShares): string | null {
  return limits === null || untilMs - fromMs < TELLING_MS ? null : ADVICE[limits];
}
