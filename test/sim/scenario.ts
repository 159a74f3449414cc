import { SeededRandom } from "../../operators/training/seeded-random.js";
import { configSchema, type Config } from "../../schemas/config.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import { encodeImageRecord, type LogRecord } from "../../schemas/image-record.js";
import { CARD, imageOf, uriOf } from "./sim-teacher.js";

/** What a seed decides before anything happens. */
export interface Scenario {
  readonly config: Config;
  /** Records that producers append in all, retries aside */
  readonly records: number;
  /** With squalls, gc, erasures and messages that are lost as they are sent */
  readonly wild: boolean;
  /** Records have licences and origins, of which datasets ask for some */
  readonly conditioned: boolean;
  /** Images there are: fewer than records, so that many come again */
  readonly images: number;
  /** Scorers at work at the same time, each with partitions of its own */
  readonly scorers: number;
  readonly faults: { readonly errors: number; readonly crashes: number; readonly slow: number };
  /** Chance in a thousand that a call which decides something fails or stands still, and how often of a kind; drawn apart from the rest */
  readonly squalls: { readonly chance: number; readonly most: number };
  /** Chance in a thousand of each at every step */
  readonly chances: Readonly<Record<Action, number>>;
  /** Chance in a thousand at every step that somebody compacts, segments of a run, and the grace; drawn apart from the rest */
  readonly compaction: { readonly chance: number; readonly segmentsPerRun: number; readonly sweepAfterMs: number };
  /** Chance in a thousand at every step that somebody frees what nobody needs, that images are erased, and the grace; drawn apart from the rest */
  readonly upkeep: { readonly collecting: number; readonly erasing: number; readonly graceMs: number };
  /** Chance in a thousand at every step that somebody labels images; drawn apart from the rest */
  readonly labelling: number;
  /** What follows scoring; drawn apart from the rest, as all that follows */
  readonly side: "states" | "topics";
  /** Processes at work at the same time on the topics' side */
  readonly topkWorkers: number;
  readonly publishers: number;
  /** A replay lays down its chains before any scorer has begun */
  readonly replaysFirst: boolean;
  /** The topic is deleted and made anew in the end */
  readonly recreates: boolean;
}

export type Action =
  | "produce"
  | "zombie"
  | "thaw"
  | "stop"
  | "retain"
  | "retry"
  | "cut"
  | "replay"
  | "damage-checkpoint"
  | "clock"
  | "broker";

/** Seeds below have none of what came later to the simulation: those that are known to catch a bug stay what they were. */
export const FIRST_WILD_SEED = 200;
/** From here on datasets ask for licences and origins, and records have some. */
export const FIRST_CONDITIONED_SEED = 2000;
export const TOP_M = 4;
export const MAX_SKEW_MS = 10_000;

const LICENCES = [null, "CC0", "CC-BY", "all rights"];
const ORIGINS = [null, "camera 1", "camera 2"];
const CONDITIONS = [
  { licence: ["CC*"] },
  { licence: { not: ["all rights"] } },
  { origin: [null, "camera 2"] },
  { licence: [null, "CC0", "CC-BY"], origin: { not: ["camera 1"] } },
];

export function drawScenario(seed: number): Scenario {
  const random = new SeededRandom(seed, "scenario");
  const partitions = 1 + random.below(3);
  const select = (): object => ({
    k: 1 + random.below(4),
    p: 1 + random.below(3),
    ...(random.below(4) === 0 ? { floor: 0.15 } : {}),
  });
  const windows = [
    { kind: "global" },
    { kind: "tumbling", sizeMs: 900 },
    { kind: "hopping", sizeMs: 1_500, everyMs: 500, offsetMs: 100 },
  ];
  const triggers = [
    { everyImages: 15 },
    { any: [{ filled: 0.8 }, { elapsedMs: 4_000 }] },
    { all: [{ everyImages: 8 }, { elapsedMs: 1_000 }] },
  ];
  const conditioned = seed >= FIRST_CONDITIONED_SEED;
  const asking = new SeededRandom(seed, "conditions");
  const asked = (): object => (conditioned ? { where: asking.pick(CONDITIONS) } : {});
  const datasets = [random.below(3), random.below(3)].slice(0, 1 + random.below(2)).map((window, index) => ({
    name: `d${index}`,
    select: { ...select(), ...asked() },
    reserve: random.below(3),
    window: windows[window],
    allowedLatenessMs: random.pick([0, 700, 2_000]),
    idleAfterMs: 3_000,
    leastIntervalMs: 0,
    ...(window === 0 ? { trigger: random.pick(triggers) } : {}),
  }));
  const wild = seed >= FIRST_WILD_SEED;
  const apart = new SeededRandom(seed, "compaction");
  const upkeep = new SeededRandom(seed, "upkeep");
  const squally = new SeededRandom(seed, "squally");
  const beside = new SeededRandom(seed, "side");
  const side = beside.pick(["states", "topics"] as const);
  const config = configSchema.parse({
    stream: "images",
    partitions,
    engine: { batch: random.pick([1, 3]), maxDelayMs: 40 },
    decode: { concurrency: 2 },
    archive: { topM: TOP_M, segmentRecords: 2 + random.below(8), segmentDelayMs: 150, pauseDelayMs: 150 },
    bytes: "keep",
    retainBytes: "winners",
    maxFutureSkewMs: MAX_SKEW_MS,
    checkpoint: { everySegments: 1 + random.below(4), keep: 1 + random.below(3) },
    maxInFlightBytes: random.pick([60, 200, 500, 2_000]),
    datasets,
    kafka: { brokers: "sim:9092", shards: 1 + beside.below(3) },
  });
  const records = 40 + random.below(60);
  return {
    config,
    records,
    wild,
    conditioned,
    images: Math.max(10, Math.floor(records * random.between(0.4, 1.2))),
    scorers: partitions > 1 && random.below(4) === 0 ? 2 : 1,
    faults: { errors: random.pick([0, 4, 10]), crashes: random.pick([0, 1, 4]), slow: random.pick([0, 3]) },
    squalls: { chance: wild ? squally.pick([0, 30, 100]) : 0, most: 1 + squally.below(4) },
    chances: {
      produce: random.pick([30, 80]),
      zombie: random.pick([0, 4]),
      thaw: 8,
      stop: random.pick([0, 2]),
      retain: random.pick([0, 0, 8]),
      retry: 2,
      cut: random.pick([1, 4, 12]),
      replay: random.pick([0, 2]),
      "damage-checkpoint": random.pick([0, 4]),
      clock: beside.pick([0, 3]),
      broker: side === "topics" ? beside.pick([0, 3, 10]) : 0,
    },
    compaction: {
      chance: apart.pick([0, 5, 15, 30]),
      segmentsPerRun: 1 + apart.below(4),
      sweepAfterMs: apart.pick([0, 50, 1_000]),
    },
    upkeep: {
      collecting: wild ? upkeep.pick([0, 0, 5, 15]) : 0,
      erasing: wild ? upkeep.pick([0, 0, 0, 3]) : 0,
      graceMs: upkeep.pick([0, 50, 1_000]),
    },
    labelling: new SeededRandom(seed, "labelling").pick([0, 0, 5, 15]),
    side,
    topkWorkers: 1 + beside.below(2),
    publishers: 1 + beside.below(2),
    replaysFirst: beside.below(5) === 0,
    recreates: random.below(4) === 0,
  };
}

/** What somebody says of one to three images, those of little number more often. */
export function drawLabels(random: SeededRandom, { images }: Scenario, nowMs: number): ImageLabel[] {
  return Array.from({ length: 1 + random.below(3) }, () => {
    const sha256 = sha256Hex(imageOf(Math.min(random.below(images), random.below(images))));
    const verdict = random.pick(["is", "not", "not", "not", "none", "withdrawn"] as const);
    const said = { sha256, timeMs: nowMs, by: null };
    if (verdict === "none" || verdict === "withdrawn") return { ...said, verdict };
    return { ...said, verdict, class: random.pick(CARD.labels) };
  });
}

/** One image as a producer sends it: by reference or inline, in time, late, or from a clock that runs ahead. */
export function drawRecord(random: SeededRandom, scenario: Scenario, nowMs: number): LogRecord {
  const image = random.below(scenario.images);
  const drawn = random.below(100);
  let eventTimeMs = nowMs - random.below(400);
  if (drawn < 16) eventTimeMs = nowMs - random.below(4_000);
  else if (drawn < 19) eventTimeMs = nowMs + MAX_SKEW_MS + 1 + random.below(1_000_000);
  else if (drawn < 21) eventTimeMs = nowMs + random.below(600);
  const inline = random.below(3) === 0;
  const record = encodeImageRecord({
    uri: inline && random.below(2) === 0 ? `file:///sim/inline/${image}.png` : uriOf(image),
    bytes: inline ? imageOf(image) : null,
    eventTimeMs,
    // Of an image one occurrence may meet what another one does not. Nothing is drawn for it: other seeds stay what they were.
    licence: scenario.conditioned ? LICENCES[(image + eventTimeMs) % LICENCES.length]! : null,
    origin: scenario.conditioned ? ORIGINS[(image + 2 * eventTimeMs) % ORIGINS.length]! : null,
    retryOf: null,
  });
  // A record that breaks the wire format costs itself only.
  return random.below(60) === 0 ? { ...record, headers: { ...record.headers, "sluice-schema": "99" } } : record;
}
