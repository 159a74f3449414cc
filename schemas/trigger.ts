import { Cron } from "croner";
import { z } from "zod";

/**
 * When a dataset's next version is cut. A trigger is one condition, or several combined by `any` or `all`; the
 * conditions are about what came since the last version, and about the window that a version would hold.
 */
export type Trigger =
  | { readonly windowEnd: true }
  | { readonly cron: string }
  | { readonly everyImages: number }
  | { readonly filled: number }
  | { readonly perLabelled: { readonly labelled: number; readonly ratio: number } }
  | { readonly elapsedMs: number }
  | { readonly any: readonly Trigger[] }
  | { readonly all: readonly Trigger[] };

export const cronLine = z
  .string()
  .describe("a cron line, in UTC: minute hour day month weekday")
  .superRefine((line, context) => {
    try {
      if (cronAfter(line, 0) === null) {
        context.addIssue({ code: "custom", message: `expected a cron line that fires, found one that never does` });
      }
    } catch {
      context.addIssue({
        code: "custom",
        message: "expected a cron line (minute hour day month weekday), such as 0 3 * * *",
      });
    }
  });

export const triggerSchema: z.ZodType<Trigger> = z.lazy(() =>
  z.union([
    z.strictObject({ windowEnd: z.literal(true).describe("a window's end has passed, by the watermark") }),
    z.strictObject({ cron: cronLine }),
    z.strictObject({ everyImages: z.int().positive().describe("this many images since the last version") }),
    z.strictObject({ filled: z.number().gt(0).max(1).describe("this share of the classes has K above the floor") }),
    z.strictObject({
      perLabelled: z
        .strictObject({
          labelled: z.int().positive().describe("|D|: labelled images there are"),
          ratio: z.number().positive().describe("|U| / |D|; Yalniz et al. break even near 10"),
        })
        .describe("this many unlabelled images for each labelled one"),
    }),
    z.strictObject({ elapsedMs: z.int().positive().describe("this long since the last version: a deadline, ms") }),
    z.strictObject({ any: z.array(triggerSchema).min(1).describe("one of these has fired") }),
    z.strictObject({ all: z.array(triggerSchema).min(1).describe("each of these has fired") }),
  ]),
);

/** The first time after `afterMs` that a cron line fires in a time zone, ms; null where it never does. Throws for no cron line. */
export function cronAfter(line: string, afterMs: number, timeZone = "UTC"): number | null {
  return new Cron(line, { timezone: timeZone, paused: true }).nextRun(new Date(afterMs))?.getTime() ?? null;
}
