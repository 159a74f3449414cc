import { z } from "zod";
import { canonicalJson, type Json } from "./canonical.js";
import { IMAGE_NOTES, type ImageNote } from "./image-notes.js";

const NOTES = Object.keys(IMAGE_NOTES) as [ImageNote, ...ImageNote[]];

const texts = z.array(z.string().min(1).nullable()).min(1);

/** What a column of text is to be, or not to be. null stands for rows whose source says nothing. */
const textCondition = (what: string) =>
  z
    .union([texts.describe("one of these"), z.strictObject({ not: texts.describe("none of these") })])
    .optional()
    .describe(
      `${what}: one of a list, or none of { not: [...] }; null where the source says nothing; a* begins with a`,
    );
export type TextCondition = z.infer<typeof texts> | { readonly not: z.infer<typeof texts> };

const rangeCondition = (what: string) =>
  z
    .strictObject({
      least: z.int().nonnegative().optional().describe("at least so much"),
      most: z.int().nonnegative().optional().describe("at most so much"),
    })
    .optional()
    .describe(what);
export interface RangeCondition {
  readonly least?: number | undefined;
  readonly most?: number | undefined;
}

const instant = z.union([
  z.int(),
  z
    .string()
    .regex(
      /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z)?$/,
      "expected ms since the epoch, 2026-01-31, or 2026-01-31T12:00:00Z",
    )
    .refine((text) => !Number.isNaN(Date.parse(text)), "expected a day that there is"),
]);

const notes = z.array(z.enum(NOTES)).min(1);

const probability = z.number().min(0).max(1);

export const scoreConditionSchema = z.strictObject({
  teacher: z
    .string()
    .regex(
      /^[0-9a-f]{64}$/,
      "expected a teacher's whole digest, 64 hexadecimal digits: `sluice teacher list --json` has it",
    )
    .describe("digest of another teacher"),
  class: z.int().nonnegative().describe("number of one of its classes"),
  least: probability.optional().describe("least probability that it gives the class"),
  most: probability.optional().describe("greatest"),
});
export type ScoreCondition = z.infer<typeof scoreConditionSchema>;

/** Conditions on archived rows: a row that does not meet all of them is as if it had never been scored for the dataset. */
export const whereSchema = z.strictObject({
  licence: textCondition("licence"),
  origin: textCondition("origin"),
  width: rangeCondition("px of the picture as it stands, after EXIF orientation"),
  height: rangeCondition("px"),
  sizeBytes: rangeCondition("length of the encoded image, bytes"),
  eventTime: z
    .strictObject({
      from: instant.optional().describe("not before"),
      until: instant.optional().describe("before"),
    })
    .optional()
    .describe("when the image came to be, [from, until): ms since the epoch, or a date in UTC"),
  notes: z
    .strictObject({
      any: notes.optional().describe("at least one of these"),
      none: notes.optional().describe("none of these"),
    })
    .optional()
    .describe("what was done so that the teacher could see the image: codes of docs/pictures.md"),
  confidence: z
    .strictObject({ least: z.number().min(0).max(1).describe("at least so much") })
    .optional()
    .describe(
      "probability of the image's best class, whatever class is chosen from: the max-softmax gate of open sets",
    ),
  logSumExp: z
    .strictObject({ least: z.number().describe("at least so much") })
    .optional()
    .describe(
      "ln of the sum of exp(logit / temperature) over all classes: the energy gate of open sets (Liu et al. 2020)",
    ),
  scores: z
    .array(scoreConditionSchema)
    .min(1)
    .optional()
    .describe(
      "what other teachers that have scored the stream think of the image; one that a teacher has not scored is left out",
    ),
});
export type Where = z.infer<typeof whereSchema>;

/** ms since the epoch */
export function instantMs(instant: number | string): number {
  return typeof instant === "number" ? instant : Date.parse(instant);
}

/** Conditions that nothing can meet, each with its place below `where`. */
export function whereFaults(where: Where): { path: string[]; message: string }[] {
  const faults: { path: string[]; message: string }[] = [];
  for (const name of ["width", "height", "sizeBytes"] as const) {
    const { least, most } = where[name] ?? {};
    if (least !== undefined && most !== undefined && least > most)
      faults.push({ path: [name, "least"], message: `expected at most ${most}, which \`most\` says, found ${least}` });
  }
  const { from, until } = where.eventTime ?? {};
  if (from !== undefined && until !== undefined && instantMs(from) >= instantMs(until))
    faults.push({ path: ["eventTime", "from"], message: `expected a time before \`until\` (${until}), found ${from}` });
  for (const [at, { least = 0, most = 1 }] of (where.scores ?? []).entries())
    if (least > most)
      faults.push({
        path: ["scores", String(at), "least"],
        message: `expected at most ${most}, which \`most\` says, found ${least}`,
      });
  const { any = [], none = [] } = where.notes ?? {};
  const both = any.find((note) => none.includes(note));
  if (both !== undefined)
    faults.push({ path: ["notes", "any"], message: `expected codes that \`none\` does not name, found "${both}"` });
  return faults;
}

/** The same conditions always as the same value, whatever the order and spelling; undefined: there is none. */
export function canonicalWhere(where: Where | undefined): Json | undefined {
  if (where === undefined) return undefined;
  const sorted = <T extends string | null>(list: readonly T[]): T[] =>
    [...new Set(list)].sort((a, b) => (a === b ? 0 : a === null || (b !== null && a < b) ? -1 : 1));
  const text = (condition: TextCondition | undefined): Json | undefined => {
    if (condition === undefined) return undefined;
    return "not" in condition ? { not: sorted(condition.not) } : sorted(condition);
  };
  const members: Record<string, Json | undefined> = {
    licence: text(where.licence),
    origin: text(where.origin),
    width: stated(where.width),
    height: stated(where.height),
    sizeBytes: stated(where.sizeBytes),
    eventTime: stated({
      from: where.eventTime?.from === undefined ? undefined : instantMs(where.eventTime.from),
      until: where.eventTime?.until === undefined ? undefined : instantMs(where.eventTime.until),
    }),
    notes: stated({
      any: where.notes?.any && sorted(where.notes.any),
      none: where.notes?.none && sorted(where.notes.none),
    }),
    confidence: where.confidence,
    logSumExp: where.logSumExp,
    scores: where.scores && sortedScores(where.scores),
  };
  return stated(members);
}

function sortedScores(scores: readonly ScoreCondition[]): Json {
  const texts = scores.map(({ least, most, ...of }) =>
    canonicalJson({ ...of, ...(stated({ least, most }) as object) }),
  );
  return [...new Set(texts)].sort().map((text) => JSON.parse(text) as Json);
}

/** undefined where no member says anything */
function stated(members: Readonly<Record<string, Json | undefined>> | RangeCondition | undefined): Json | undefined {
  const said = Object.entries(members ?? {}).filter(([, value]) => value !== undefined);
  return said.length === 0 ? undefined : Object.fromEntries(said);
}
