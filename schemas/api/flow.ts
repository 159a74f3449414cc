import { z } from "zod";
import { stageSharesSchema } from "../stage-shares.js";
import { runRecordSchema } from "../run-record.js";
import { standingControlSchema } from "../flow-control.js";
import { count } from "./shared.js";

/** What is going on at one moment. */
export const liveSchema = z.strictObject({
  /** ms since the epoch */
  atMs: z.int(),
  /** Records archived by all chains of the stream's teachers */
  archived: count,
  /** Records archived a second over the last seconds; null before there are two looks */
  perSecond: z.number().nullable(),
  /** Records that wait in the log; null where the log cannot tell */
  waiting: count.nullable(),
  /** Greatest event time archived, ms; null before the first record */
  watermarkMs: z.int().nullable(),
  /** Who writes to the data folder */
  holder: z.strictObject({ pid: z.int(), command: z.string(), sinceMs: z.number() }).nullable(),
  /** What the last run wrote down of itself, in this data folder */
  run: runRecordSchema.nullable(),
  /** What limits it, and what to add; null where nothing is known or the run was too short to tell */
  advice: z.string().nullable(),
  stages: stageSharesSchema.nullable(),
  /** What was asked last of those who score; null where nothing ever was */
  control: standingControlSchema.nullable(),
  /** Newest version by dataset; labels said so far: pages read anew where they change */
  versions: z.record(z.string(), count),
  labels: count,
  /** Why the store or the log cannot be read; null where they can */
  away: z.string().nullable(),
});
export type Live = z.infer<typeof liveSchema>;

export const flowSchema = z.strictObject({
  now: liveSchema,
  /** Archived records a second, oldest first: [ms since the epoch, records a second] */
  history: z.array(z.tuple([z.number(), z.number()])).readonly(),
  /** How busy each stage was over the last minutes, oldest first; `waiting`: records in the log */
  stages: z
    .array(z.strictObject({ atMs: z.int(), ...stageSharesSchema.shape.shares.shape, waiting: count.nullable() }))
    .readonly(),
});
export type FlowMoment = Flow["stages"][number];
export type Flow = z.infer<typeof flowSchema>;
