import { z } from "zod";
import { stageQueuesSchema, stageSharesSchema } from "./stage-shares.js";

const count = z.int().nonnegative();

/** What a run that scores writes down of itself every few seconds, so that other processes can show it. */
export const runRecordSchema = z.strictObject({
  pid: z.int(),
  startedMs: z.int(),
  /** When this was written, ms since the epoch */
  atMs: z.int(),
  /** The run has ended, by itself or because it was asked to */
  ended: z.boolean(),
  stages: stageSharesSchema,
  /** What waits at each stage; left out by runs that do not tell */
  queues: stageQueuesSchema.optional(),
  /** Of this run; `appended`: records that it put into the log, `sizeBytes`: of the images whose rows were archived */
  counts: z.strictObject({
    appended: count,
    scored: count,
    copied: count,
    quarantined: count,
    lost: count,
    sizeBytes: count,
  }),
  /** Records that the run has still to deal with; null while nobody knows */
  waiting: count.nullable(),
});
export type RunRecord = z.infer<typeof runRecordSchema>;
export type RunCounts = RunRecord["counts"];
