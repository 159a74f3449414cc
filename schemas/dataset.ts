import { z } from "zod";
import { triggerSchema } from "./trigger.js";
import { keepSchema } from "./keep-rule.js";
import { driftLimitsSchema } from "./drift.js";
import { canonicalJson, type Json } from "./canonical.js";
import { canonicalWhere, whereFaults, whereSchema } from "./where.js";

const kOfClass = z.int().positive();

/** K: one number; one a class, by the version's labels; or a share of the images scored, as in the paper. */
export const kSchema = z.union([
  kOfClass,
  z.strictObject({
    default: kOfClass.describe("K of the classes that are not named"),
    classes: z.record(z.string(), kOfClass).describe("K by label"),
  }),
  z.strictObject({
    share: z.number().positive().describe("K = share x |U| / L: |U| images scored, L classes"),
    most: kOfClass.describe("the greatest K, which the state is sized for"),
  }),
]);

/** P where there are more classes than FEW_CLASSES */
export const DEFAULT_P = 10;
/** Up to so many classes, an image stands for its best one unless P is given: P = 10 would put every image into every class. */
export const FEW_CLASSES = 10;

/** What a version is a function of, beside scores and labels. All of it is in the version's id; defaults leave no trace. */
export const selectionSchema = z.strictObject({
  k: kSchema
    .default(1000)
    .describe("K: images a class; by class with default and classes, or by |U| with share and most"),
  p: z
    .int()
    .positive()
    .default(DEFAULT_P)
    .describe(
      "P: each image stands for its P best classes only; at most archive.topM. Where nobody says it when the dataset is first declared: 1 with 10 classes or fewer",
    ),
  floor: z.number().min(0).lt(1).default(0).describe("least probability of a chosen row"),
  temperature: z
    .number()
    .positive()
    .optional()
    .describe("divides the logits, in place of the card's; needs archive.logits: all, unless it is the card's"),
  labels: z
    .record(z.string().min(1), z.array(z.string()).min(1))
    .optional()
    .describe("new label: [the teacher's labels that it stands for]; those not named are left out"),
  decay: z
    .strictObject({
      halfLifeMs: z.number().positive().describe("an image that much younger ranks as one twice as probable, ms"),
      landmarkMs: z
        .int()
        .default(0)
        .describe("event time of weight 1, ms since the epoch; near the images keeps digits"),
    })
    .optional()
    .describe("fresh images weigh more"),
  order: z.enum(["ranked", "random"]).default("ranked").describe("random: K at random of those at or above the floor"),
  seed: z.int().nonnegative().optional().describe("with order: random, which random order"),
  balanced: z.boolean().default(true).describe("false: the K x L best rows of all classes together"),
  overlap: z
    .enum(["all", "best"])
    .default("all")
    .describe("best: an image stays in one class only, where it ranks best"),
  repeat: z.boolean().default(false).describe("rows of a scarce class are repeated up to K, and marked"),
  near: z
    .strictObject({
      distance: z
        .int()
        .min(0)
        .max(63)
        .describe(
          "bits of PDQ, of 256, that differ at most, or those of the mirrored picture; up to 31 is the same picture to PDQ's makers",
        ),
      within: z
        .enum(["class", "version"])
        .default("class")
        .describe("class: of a better image of the same class; version: of one in any class"),
    })
    .optional()
    .describe("near duplicates of better images are left out, and the next ones move up"),
  where: whereSchema
    .optional()
    .describe(
      "what an image must be to be chosen from at all: a row that does not meet it is as if it had never been scored",
    ),
});
export type Selection = z.infer<typeof selectionSchema>;

/** Parameters that contradict each other, each with its place below `select`. */
export function selectionFaults(selection: Selection): { path: string[]; message: string }[] {
  const faults: { path: string[]; message: string }[] = [];
  const refuse = (condition: boolean, path: string[], message: string): void => {
    if (condition) faults.push({ path, message });
  };
  const { k, decay, order, seed, balanced, overlap, repeat, labels, where } = selection;
  const random = order === "random";
  refuse(random && seed === undefined, ["order"], "expected a seed with order: random, found none");
  refuse(!random && seed !== undefined, ["seed"], "expected order: random with a seed, found order: ranked");
  refuse(random && decay !== undefined, ["decay"], "expected no decay with order: random: the order is not by score");
  refuse(
    random && overlap === "best",
    ["overlap"],
    "expected overlap: all with order: random: no class is an image's best by a random order; p: 1 gives each image its best class",
  );
  refuse(!balanced && repeat, ["repeat"], "expected no repeat with balanced: false: no class is filled up to K there");
  refuse(
    !balanced && typeof k !== "number" && "classes" in k,
    ["k"],
    "expected one K with balanced: false: the rank is over all classes",
  );
  faults.push(...whereFaults(where ?? {}).map(({ path, message }) => ({ path: ["where", ...path], message })));
  const taken = new Map<string, string>();
  for (const [label, members] of Object.entries(labels ?? {})) {
    for (const [at, member] of members.entries()) {
      const before = taken.get(member);
      refuse(
        before !== undefined,
        ["labels", label, String(at)],
        `expected each of the teacher's labels once, found "${member}" in "${before ?? ""}" and in "${label}"`,
      );
      taken.set(member, label);
    }
  }
  return faults;
}

/** The greatest K of a class: what a state is sized by. */
export function mostK(k: Selection["k"]): number {
  if (typeof k === "number") return k;
  return "share" in k ? k.most : Math.max(k.default, ...Object.values(k.classes));
}

const lengthMs = z.int().positive();
const offsetMs = z.int().default(0).describe("where windows begin: this long after the epoch, ms; 0 is midnight UTC");

/** How event time is cut into windows [start, end). Lengths in ms. */
export const windowSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("global").describe("everything since startMs, or ever"),
      startMs: z.int().optional().describe("event time that the window begins at, ms since the epoch"),
    }),
    z.strictObject({
      kind: z.literal("tumbling").describe("one window after the other"),
      sizeMs: lengthMs.describe("length of a window, ms"),
      offsetMs,
    }),
    z.strictObject({
      kind: z.literal("hopping").describe("windows that overlap"),
      sizeMs: lengthMs.describe("length of a window, ms; a multiple of everyMs"),
      everyMs: lengthMs.describe("a window begins this often, ms"),
      offsetMs,
    }),
  ])
  .refine((window) => window.kind !== "hopping" || window.sizeMs % window.everyMs === 0, {
    message: "expected sizeMs to be a multiple of everyMs",
    path: ["sizeMs"],
  });
export type Window = z.infer<typeof windowSchema>;

/** Event times that a version is chosen from: [start, end), ms since the epoch; null is without bound. */
export const spanSchema = z.strictObject({ startMs: z.int().nullable(), endMs: z.int().nullable() });
export type Span = z.infer<typeof spanSchema>;

export const datasetNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "expected lower-case letters, digits, dot, dash, underscore; at most 63");

/** How a version's images are laid out in tar shards: no part of what a version is, and not in its id. */
export const shardsSchema = z.strictObject({
  count: z
    .int()
    .positive()
    .max(100_000)
    .default(16)
    .describe("least number of shards, as long as there are so many images: at least as many as a loader has workers"),
  maxBytes: z
    .int()
    .positive()
    .default(128 * 2 ** 20)
    .describe("greatest size of a shard; an image that is larger has one to itself"),
});
export type ShardLayout = z.infer<typeof shardsSchema>;

/** A declared selection over a stream. */
export const datasetSchema = z.strictObject({
  name: datasetNameSchema.describe("what the dataset's versions are filed under"),
  select: selectionSchema.prefault({}).describe("which images are chosen"),
  reserve: z
    .int()
    .nonnegative()
    .optional()
    .describe("R: rows a class held beyond K, against retractions; by default K/10, with select.near K/2, at least 8"),
  window: windowSchema.default({ kind: "global" }).describe("the stretch of event time that is chosen from"),
  allowedLatenessMs: z
    .int()
    .nonnegative()
    .default(0)
    .describe("after a window's end, ms of event time in which late images still give a corrected version"),
  idleAfterMs: z
    .int()
    .positive()
    .default(60_000)
    .describe("a partition without new images for this long does not hold event time back"),
  leastIntervalMs: z
    .int()
    .nonnegative()
    .default(10_000)
    .describe(
      "least time between two versions that the trigger makes, ms: a condition that holds is no reason for one each second",
    ),
  trigger: triggerSchema
    .optional()
    .describe("when `ingest --follow` makes the next version; by default at each window's end"),
  shards: shardsSchema.prefault({}).describe("how a version's images are laid out in tar shards"),
  labels: z
    .enum(["place", "retract"])
    .optional()
    .describe(
      "an image that somebody says is of a class stands in it, before the teacher's rows (place, the default); or what people say only takes images out (retract)",
    ),
  drift: driftLimitsSchema
    .optional()
    .describe(
      "each version says how what came since the one before differs from what came until then; `status` and metrics warn above these limits",
    ),
  deltas: z
    .boolean()
    .optional()
    .describe(
      "beside each version an object with the rows that entered and left since the one before; the versions topic names it",
    ),
  keep: keepSchema
    .optional()
    .describe("which versions `sluice gc` leaves; by default all. Those that a tag, a loop or a model names stay, too"),
});
export type Dataset = z.infer<typeof datasetSchema>;

/** Parameters of a dataset that contradict each other, each with its place below the dataset. */
export function datasetFaults({ select, window }: Dataset): { path: string[]; message: string }[] {
  const faults = selectionFaults(select).map(({ path, message }) => ({ path: ["select", ...path], message }));
  const global = window.kind === "global" && window.startMs === undefined;
  if (typeof select.k !== "number" && "share" in select.k && !global) {
    faults.push({
      path: ["select", "k"],
      message: "expected a global window without a start with K by share: |U| counts every image scored",
    });
  }
  return faults;
}

export function reserveOf(dataset: Dataset): number {
  // Near duplicates take places of the reserve, too.
  const share = dataset.select.near === undefined ? 10 : 2;
  return dataset.reserve ?? Math.max(8, Math.ceil(mostK(dataset.select.k) / share));
}

/** Selection without the members that have their default value. */
export function canonicalSelection(selection: Selection): Json {
  const defaults = selectionSchema.parse({});
  const members: Record<string, Json> = { k: selection.k, p: selection.p };
  for (const [name, given] of Object.entries(selection)) {
    const value = name === "where" ? canonicalWhere(selection.where) : given;
    if (value === undefined) continue;
    const byDefault = defaults[name as keyof Selection];
    if (byDefault === undefined || canonicalJson(value) !== canonicalJson(byDefault)) members[name] = value;
  }
  return members;
}
