import { z } from "zod";

/** The stages of scoring that can be added to, in the order in which an image passes them. */
export const STAGES = ["fetch", "decode", "score", "archive"] as const;
export type Stage = (typeof STAGES)[number];

const share = z.number().min(0).max(1);

/** How busy each stage of scoring was, and which one holds up the others. */
export const stageSharesSchema = z.strictObject({
  /** The span that the shares are of, ms since the epoch */
  fromMs: z.int(),
  untilMs: z.int(),
  /**
   * Of a stage: the mean share of its places (decoders, engine workers …) that were at work. `waiting`: the share of the time in which
   * no stage was. Stages work at the same time, so the sum may pass 1.
   */
  shares: z.strictObject({ fetch: share, decode: share, score: share, archive: share, waiting: share }),
  /** The greatest share; null where no time has passed */
  limits: z.enum([...STAGES, "waiting"]).nullable(),
});
export type StageShares = z.infer<typeof stageSharesSchema>;

const count = z.int().nonnegative();
const stageQueueSchema = z.strictObject({
  /** Items in it when it was written: those beyond its places wait for one */
  items: count,
  places: count,
  /** The share of the time in which all its places were taken, so that what comes before it waited */
  full: share,
});

/** What waits at each stage, and how long it takes no more, over the span that its shares are of. */
export const stageQueuesSchema = z.strictObject({
  fetch: stageQueueSchema,
  decode: stageQueueSchema,
  score: stageQueueSchema,
  archive: stageQueueSchema,
});
export type StageQueues = z.infer<typeof stageQueuesSchema>;
