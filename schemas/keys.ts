import { frontierName, type Frontier } from "./frontier.js";
import { shardName, shardNamed, type Shard } from "./shard.js";

/** The object store's layout. Keys hold neither `+` nor `%`, and no key is another's folder: POSIX gateways need both. */

const digits = (offset: number): string => String(offset).padStart(20, "0");
const generationDigits = (generation: number): string => String(generation).padStart(6, "0");
const levelDigits = (level: number): string => String(level).padStart(2, "0");

/** Every key begins with one of these: a bucket may hold other things beside the store's. */
export const STORE_FOLDERS = [
  "scores/",
  "runs/",
  "pins/",
  "packs/",
  "checkpoints/",
  "labels/",
  "versions/",
  "teachers/",
  "models/",
  "loops/",
  "datasets/",
  "streams/",
  "logs/",
  "identity/",
  "formats/",
  "relocations/",
  "tags/",
  "controls/",
  "guards/",
  "schedules/",
  "probe-conditional/",
] as const;

/** Names one chain of segments: a start (`origin`) in one partition of one stream, under one teacher. */
export interface ChainName {
  readonly teacher: string;
  readonly stream: string;
  readonly partition: number;
  readonly origin: number;
}

/** What tells one Parquet file of a run from another. */
export interface RunFileName {
  /** Of the run */
  readonly start: number;
  readonly level: number;
  /** Of this writing alone: [a-z0-9]+ */
  readonly attempt: string;
  /** From 0 */
  readonly file: number;
}

/** What tells one pack that was written for a generation from another. */
export interface WrittenPackName {
  /** Of the generation */
  readonly start: number;
  readonly generation: number;
  /** Of this writing alone: [a-z0-9]+ */
  readonly attempt: string;
  /** From 0 */
  readonly file: number;
}

export const keys = {
  chain: ({ teacher, stream, partition, origin }: ChainName): string =>
    `scores/${teacher}/${stream}/${partition}/${digits(origin)}/`,
  segment: (chain: ChainName, start: number): string => `${keys.chain(chain)}${digits(start)}.arrow`,

  /** All segments of (teacher, stream), of every chain. */
  chains: ({ teacher, stream }: Pick<ChainName, "teacher" | "stream">): string => `scores/${teacher}/${stream}/`,

  /** What a chain was compacted into: index objects and Parquet files. */
  runs: ({ teacher, stream, partition, origin }: ChainName): string =>
    `runs/${teacher}/${stream}/${partition}/${digits(origin)}/`,
  runIndexes: (chain: ChainName): string => `${keys.runs(chain)}index/`,
  /** Makes a run of files that lie there already; created only if absent. */
  runIndex: (chain: ChainName, start: number, level: number): string =>
    `${keys.runIndexes(chain)}${digits(start)}-${levelDigits(level)}.jsonl`,
  /** Which of them stand, as a compactor saw it last. */
  standingRuns: (chain: ChainName): string => `${keys.runs(chain)}standing.json`,
  runFiles: (chain: ChainName): string => `${keys.runs(chain)}rows/`,
  runFile: (chain: ChainName, { start, level, attempt, file }: RunFileName): string =>
    `${keys.runFiles(chain)}${digits(start)}-${levelDigits(level)}-${attempt}-${file}.parquet`,

  allPins: "pins/",
  /** What somebody reads at the moment, so that it is not swept. */
  pins: ({ teacher, stream }: Pick<ChainName, "teacher" | "stream">): string => `pins/${teacher}/${stream}/`,
  pin: (archive: Pick<ChainName, "teacher" | "stream">, name: string): string => `${keys.pins(archive)}${name}.json`,

  /** Chains of (teacher, stream) that were claimed together, as one of a row of objects numbered from 0. */
  claims: ({ teacher, stream }: Pick<ChainName, "teacher" | "stream">, number: number): string =>
    `scores/${teacher}/${stream}/claims/${digits(number)}.json`,

  /** What was declared lost of (teacher, stream), as one of a row of objects numbered from 0. */
  lostRange: ({ teacher, stream }: Pick<ChainName, "teacher" | "stream">, number: number): string =>
    `scores/${teacher}/${stream}/lost/${digits(number)}.json`,

  /** Bytes of kept images of one chain. */
  packs: ({ teacher, stream, partition, origin }: ChainName): string =>
    `packs/${teacher}/${stream}/${partition}/${digits(origin)}/`,
  scoredPacks: (chain: ChainName): string => `${keys.packs(chain)}scored/`,
  /** What a scorer kept of the segment at `start`, before it wrote the segment. */
  scoredPack: (chain: ChainName, start: number, attempt: string): string =>
    `${keys.scoredPacks(chain)}${digits(start)}-${attempt}.pack`,
  packGenerations: (chain: ChainName): string => `${keys.packs(chain)}index/`,
  /** Says where the members of a range of packs lie by now; created only if absent. */
  packGeneration: (chain: ChainName, start: number, generation: number): string =>
    `${keys.packGenerations(chain)}${digits(start)}-${generationDigits(generation)}.json`,
  writtenPacks: (chain: ChainName): string => `${keys.packs(chain)}written/`,
  /** Written for a generation, by a compactor that may yet create it. */
  writtenPack: (chain: ChainName, { start, generation, attempt, file }: WrittenPackName): string =>
    `${keys.writtenPacks(chain)}${digits(start)}-${generationDigits(generation)}-${attempt}-${file}.pack`,

  /** Of all shards of a state. */
  checkpointShards: (parameters: string): string => `checkpoints/${parameters}/`,
  checkpoints: (parameters: string, shard: Shard): string => `checkpoints/${parameters}/${shardName(shard)}/at/`,
  /** `losses`: declarations of lost offsets that its state knows of. Made anew after one, it lies behind the one before. */
  checkpoint: (parameters: string, shard: Shard, frontier: Frontier, losses = 0): string =>
    `${keys.checkpoints(parameters, shard)}${frontierName(frontier)}${losses === 0 ? "" : `_${digits(losses)}`}.json`,
  checkpointParts: (parameters: string, shard: Shard): string => `checkpoints/${parameters}/${shardName(shard)}/panes/`,
  /** One pane's state as it was at a frontier. */
  checkpointPart: (parameters: string, shard: Shard, pane: number, frontier: Frontier): string =>
    `${keys.checkpointParts(parameters, shard)}${pane}/${frontierName(frontier)}.topk`,

  labels: (stream: string): string => `labels/${stream}/`,
  labelSegment: (stream: string, partition: number, start: number): string =>
    `${keys.labels(stream)}${partition}/${digits(start)}.json`,

  allVersions: "versions/",
  allCheckpoints: "checkpoints/",
  versions: (dataset: string): string => `versions/${dataset}/`,
  manifest: (dataset: string, number: number): string => `versions/${dataset}/${number}/manifest.json`,
  /** What was erased from a version, as one of a row of objects numbered from 1. */
  redaction: (dataset: string, number: number, redaction: number): string =>
    `versions/${dataset}/${number}/redactions/${digits(redaction)}.json`,
  /** What makes the version before it into this one; a cache, made where the dataset asks for it. */
  delta: (dataset: string, number: number): string => `versions/${dataset}/${number}/delta.parquet`,
  /** That a version was let go, or is kept again, as one of a row of objects numbered from 1: they take turns. */
  retirement: (dataset: string, number: number, turn: number): string =>
    `versions/${dataset}/${number}/retirements/${digits(turn)}.json`,
  /**
   * The files of one attempt to publish; only a manifest makes them a version. The id is not in it: it is known when the
   * last row has passed, and the first files are written long before.
   */
  attempts: (dataset: string): string => `versions/${dataset}/data/`,
  attempt: (dataset: string, attempt: string): string => `${keys.attempts(dataset)}${attempt}/`,

  /** What versions of a dataset are called beside their numbers. */
  tags: (dataset: string): string => `tags/${dataset}/`,
  /** Which version a tag means, as one of a row of objects numbered from 1; the highest stands. */
  tag: (dataset: string, tag: string, revision: number): string =>
    `${keys.tags(dataset)}${tag}/${digits(revision)}.json`,

  /** What was declared of every dataset, and of every stream. */
  declaredDatasets: "datasets/",
  declaredStreams: "streams/",
  /** One declaration of a row of them numbered from 1; the highest stands. */
  declaredDataset: (dataset: string, revision: number): string =>
    `${keys.declaredDatasets}${dataset}/${digits(revision)}.json`,
  declaredStream: (stream: string, revision: number): string =>
    `${keys.declaredStreams}${stream}/${digits(revision)}.json`,
  /** Which log a stream's offsets are of, as one of a row of objects numbered from 0; the highest stands. */
  streamLog: (stream: string, number: number): string => `logs/${stream}/${digits(number)}.json`,
  /** The same of the topic that its labels come through. */
  labelsLog: (stream: string, number: number): string => `logs/${stream}/labels/${digits(number)}.json`,
  /** What tells a store from another one, wherever it lies. */
  storeIdentity: "identity/store.json",
  /** `formats/<number>.json`: the highest is how the store is laid out by now */
  formats: "formats/",
  /** What is known to have been moved, as one of a row of objects numbered from 0. */
  relocation: (number: number): string => `relocations/${digits(number)}.json`,

  /** What is asked of those who score a stream, as one of a row of objects numbered from 0; the highest stands. */
  controls: (stream: string): string => `controls/${stream}/`,
  control: (stream: string, number: number): string => `${keys.controls(stream)}${digits(number)}.json`,

  /** Evaluation sets whose images enter no version, as one of a row of objects numbered from 0. */
  guard: (number: number): string => `guards/${digits(number)}.json`,
  /** A model that each machine can fetch, and the records of its training and its evaluations. */
  models: "models/",
  model: (teacher: string): string => `${keys.models}${teacher}/`,
  modelCard: (teacher: string): string => `${keys.model(teacher)}model-card.json`,
  /** By its place among the files of the card */
  modelFile: (teacher: string, file: number): string => `${keys.model(teacher)}files/${file}`,
  modelTraining: (teacher: string): string => `${keys.model(teacher)}training.json`,
  modelEvaluations: (teacher: string): string => `${keys.model(teacher)}evaluations/`,
  /** One of a row of objects numbered from 1; the highest is the newest. */
  modelEvaluation: (teacher: string, number: number): string =>
    `${keys.modelEvaluations(teacher)}${digits(number)}.json`,
  /** One step of one generation of a dataset's loop, created only if absent. */
  loops: (dataset: string): string => `loops/${dataset}/`,
  loopStep: (dataset: string, generation: number, step: string): string =>
    `${keys.loops(dataset)}${digits(generation)}/${step}.json`,

  /** A schedule's run, as one of a row of objects numbered from 0; then what became of it, and meanwhile that its process lives. */
  scheduled: (stream: string, schedule: string, number: number): string =>
    `schedules/${stream}/${schedule}/${digits(number)}.json`,
  scheduledEnd: (stream: string, schedule: string, number: number): string =>
    `schedules/${stream}/${schedule}/${digits(number)}.ended.json`,
  scheduledHold: (stream: string, schedule: string, number: number): string =>
    `schedules/${stream}/${schedule}/${digits(number)}.held.json`,

  teacher: (teacher: string): string => `teachers/${teacher}/model-card.json`,
  /** What a teacher's classes are called after the names in its card, from number 1 on: the highest stands. */
  teacherLabels: (teacher: string, number: number): string => `teachers/${teacher}/labels/${digits(number)}.json`,
} as const;

/** The teacher whose card or names a key holds, and the names' number; null for another key. */
export function teacherPlace(key: string): { readonly teacher: string; readonly labels: number | null } | null {
  const [, teacher, file, number] = /^teachers\/([^/]+)\/(?:(model-card)|labels\/(\d{20}))\.json$/.exec(key) ?? [];
  if (teacher === undefined) return null;
  return { teacher, labels: file === undefined ? Number(number) : null };
}

/** The teacher whose model a key is of, where it is the model's card; null for another key. */
export function modelPlace(key: string): string | null {
  return /^models\/([0-9a-f]{64})\/model-card\.json$/.exec(key)?.[1] ?? null;
}

/** The teacher whose training a key is the record of; null for another key. */
export function modelTrainingPlace(key: string): string | null {
  return /^models\/([0-9a-f]{64})\/training\.json$/.exec(key)?.[1] ?? null;
}

/** The generation and the step that a key of a loop names; null for another key. */
export function loopPlace(key: string): { readonly generation: number; readonly step: string } | null {
  const [, generation, step] = /^loops\/[^/]+\/(\d{20})\/([a-z]+)\.json$/.exec(key) ?? [];
  return generation === undefined || step === undefined ? null : { generation: Number(generation), step };
}

/** The place that the key of a label segment names; null for another key. */
export function labelPlace(key: string): { readonly partition: number; readonly start: number } | null {
  const [, partition, start] = /\/(\d+)\/(\d{20})\.json$/.exec(key) ?? [];
  return partition === undefined || start === undefined ? null : { partition: Number(partition), start: Number(start) };
}

/** The number that the key of a control names; null for another key. */
export function controlNumber(key: string): number | null {
  const [, number] = /^controls\/[^/]+\/(\d{20})\.json$/.exec(key) ?? [];
  return number === undefined ? null : Number(number);
}

/** What a declaration is of, and its revision; null for another key. */
export function declarationPlace(key: string): { readonly name: string; readonly revision: number } | null {
  const [, name, revision] = /^(?:datasets|streams)\/([^/]+)\/(\d{20})\.json$/.exec(key) ?? [];
  return name === undefined || revision === undefined ? null : { name, revision: Number(revision) };
}

/** The version that a key of a retirement is about, and its turn; null for another key. */
export function retirementPlace(key: string): { readonly number: number; readonly turn: number } | null {
  const [, number, turn] = /^versions\/[^/]+\/(\d+)\/retirements\/(\d{20})\.json$/.exec(key) ?? [];
  return number === undefined || turn === undefined ? null : { number: Number(number), turn: Number(turn) };
}

/** The tag that a key is about, and its revision; null for another key. */
export function tagPlace(key: string): { readonly tag: string; readonly revision: number } | null {
  const [, tag, revision] = /^tags\/[^/]+\/([^/]+)\/(\d{20})\.json$/.exec(key) ?? [];
  return tag === undefined || revision === undefined ? null : { tag, revision: Number(revision) };
}

/** The shard whose checkpoint a key names; null for another key. */
export function checkpointShard(key: string): Shard | null {
  const name = /^checkpoints\/[^/]+\/([^/]+)\/at\/[^/]+\.json$/.exec(key)?.[1];
  return name === undefined ? null : shardNamed(name);
}

/** The chain and the start that a segment's key names; null for another key. */
export function segmentPlace(key: string): { readonly chain: ChainName; readonly start: number } | null {
  const found = /^scores\/([^/]+)\/([^/]+)\/(\d+)\/(\d{20})\/(\d{20})\.arrow$/.exec(key);
  if (found === null) return null;
  const [, teacher = "", stream = "", partition, origin, start] = found;
  return { chain: { teacher, stream, partition: Number(partition), origin: Number(origin) }, start: Number(start) };
}

/** The chain and the offset that the key of a segment, or of a part of a run, names; null for another key. */
export function archivedObject(key: string): { readonly chain: ChainName; readonly start: number } | null {
  const segment = segmentPlace(key);
  if (segment !== null) return segment;
  const [, teacher, stream, partition, origin] = /^runs\/([^/]+)\/([^/]+)\/(\d+)\/(\d{20})\//.exec(key) ?? [];
  const place = runPlace(key) ?? runFileName(key);
  if (teacher === undefined || stream === undefined || place === null) return null;
  return { chain: { teacher, stream, partition: Number(partition), origin: Number(origin) }, start: place.start };
}

/** The start and the level that the key of a run's index names; null for another key. */
export function runPlace(key: string): { readonly start: number; readonly level: number } | null {
  const [, start, level] = /\/index\/(\d{20})-(\d{2})\.jsonl$/.exec(key) ?? [];
  return start === undefined || level === undefined ? null : { start: Number(start), level: Number(level) };
}

/** What the key of a run's Parquet file says of it; null for another key. */
export function runFileName(key: string): RunFileName | null {
  const [, start, level, attempt, file] = /\/rows\/(\d{20})-(\d{2})-([a-z0-9]+)-(\d+)\.parquet$/.exec(key) ?? [];
  if (start === undefined || level === undefined || attempt === undefined || file === undefined) return null;
  return { start: Number(start), level: Number(level), attempt, file: Number(file) };
}

/** The start and the attempt that the key of a scorer's pack names; null for another key. */
export function scoredPackPlace(key: string): { readonly start: number; readonly attempt: string } | null {
  const [, start, attempt] = /\/scored\/(\d{20})-([a-z0-9]+)\.pack$/.exec(key) ?? [];
  return start === undefined || attempt === undefined ? null : { start: Number(start), attempt };
}

/** The start and the number that the key of a generation of packs names; null for another key. */
export function packGenerationPlace(key: string): { readonly start: number; readonly generation: number } | null {
  const [, start, generation] = /\/index\/(\d{20})-(\d{6})\.json$/.exec(key) ?? [];
  return start === undefined || generation === undefined
    ? null
    : { start: Number(start), generation: Number(generation) };
}

/** What the key of a pack that was written for a generation says of it; null for another key. */
export function writtenPackName(key: string): WrittenPackName | null {
  const [, start, generation, attempt, file] = /\/written\/(\d{20})-(\d{6})-([a-z0-9]+)-(\d+)\.pack$/.exec(key) ?? [];
  if (start === undefined || generation === undefined || attempt === undefined || file === undefined) return null;
  return { start: Number(start), generation: Number(generation), attempt, file: Number(file) };
}
