import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

/** What people ask of the processes that take and score a stream's images. */
export const CONTROLS = ["run", "pause", "drain"] as const;
export type ControlWord = (typeof CONTROLS)[number];

/**
 * One word of a row of them: the highest number stands. `pause`: nothing more is taken or read until `run`. `drain`: of those who run at that
 * moment, that they take nothing more, score what the log has, and end; those who start later know nothing of it.
 */
export const flowControlSchema = z.strictObject({
  schemaVersion: z.literal(1),
  want: z.enum(CONTROLS),
  by: z.string().min(1).max(200),
  reason: z.string().max(1000).nullable(),
  /** ms since the epoch */
  atMs: z.int().nonnegative(),
});
export type FlowControlWord = z.infer<typeof flowControlSchema>;

/** What stands, as `status` says it. */
export const standingControlSchema = flowControlSchema
  .omit({ schemaVersion: true })
  .extend({ number: z.int().nonnegative() });
export type StandingControl = z.infer<typeof standingControlSchema>;

export const encodeFlowControl = (word: Omit<FlowControlWord, "schemaVersion">): Buffer =>
  sealJson({ schemaVersion: 1, ...word });

/** Throws E_STORE_CORRUPT. */
export function decodeFlowControl(bytes: Uint8Array, key: string): FlowControlWord {
  try {
    return flowControlSchema.parse(openSealedJson(bytes));
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected what was asked of the running processes at ${key}, found ${messageOf(cause)}. \`sluice resume\` or \`sluice pause\` says it anew.`,
      { cause, key },
    );
  }
}
