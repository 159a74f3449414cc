import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader, type Archive } from "../../operators/archive/archive-reader.js";
import { lostSince } from "../../operators/archive/lost-ranges.js";
import type { ChainReader, Gap } from "../../operators/archive/chain-reader.js";
import { damagedRecords } from "../../operators/archive/damaged-records.js";
import { assertDigests } from "../../operators/archive/run-digests.js";
import { damagedCheckpoints } from "../../operators/state/checkpoint.js";
import { archivedLabels, labelFrontier } from "../../operators/archive/image-labels.js";
import { damagedPacks } from "../../operators/pack/check-packs.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { datasetRevisions } from "../../operators/version/declarations.js";
import { readRelocations } from "../../operators/archive/relocations.js";
import { streamLog } from "../../operators/archive/stream-log.js";
import { isSluiceError, orNull, type ErrorCode, type SluiceError } from "../../schemas/errors.js";
import { endIn } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { recordsLost, type LostRange } from "../../schemas/lost-range.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { OnProgress } from "../../schemas/progress.js";
import { pinned, type PinClock } from "../flow/pinned.js";
import { listVersions } from "./versions.js";

const STOPPED = "The verification was stopped on request.";

export interface VerifyArchiveOptions {
  readonly store: Store;
  readonly stream: string;
  /** Digests of the teachers whose scores are read */
  readonly teachers: readonly string[];
  /** Whose versions are looked at for what is damaged */
  readonly datasets: readonly string[];
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Of the pin that holds what is read; by default the machine's */
  readonly clock?: PinClock;
}

/** Something in the store that is not as it was written. */
export interface DamagedObject {
  readonly code: ErrorCode;
  /** null where nothing is said of one object */
  readonly key: string | null;
  /** The chain and the offsets [start, end) that cannot be read; null for what is no part of a chain */
  readonly range:
    (Pick<ChainName, "teacher" | "stream" | "partition" | "origin"> & { start: number; end: number }) | null;
  /** `dataset/number` of the versions that were cut over these offsets */
  readonly versions: readonly string[];
  /** What it is, and how to repair it, for people */
  readonly message: string;
}

export interface ArchiveReport {
  readonly chains: number;
  readonly runs: number;
  readonly segments: number;
  readonly rows: number;
  /** Objects of kept images, and the images in them */
  readonly packs: number;
  readonly images: number;
  readonly labels: number;
  readonly versions: number;
  readonly damaged: readonly DamagedObject[];
  /** What was declared lost, and is not looked at any more */
  readonly lost: readonly LostOffsets[];
}

/** Offsets [start, end) of a chain that were declared lost. */
export interface LostOffsets {
  readonly teacher: string;
  readonly stream: string;
  readonly partition: number;
  readonly origin: number;
  readonly start: number;
  readonly end: number;
  readonly records: number;
  readonly reason: string;
  readonly author: string;
  readonly declaredMs: number;
  /** `dataset/number` of the versions that were cut over them before */
  readonly versions: readonly string[];
}

/** Reads everything that is archived: each row by its checksum, each kept image by its digest, each index, checkpoint, label and manifest. */
export async function verifyArchive(options: VerifyArchiveOptions): Promise<ArchiveReport> {
  const { store, stream, teachers, datasets, onProgress, signal } = options;
  const damaged: DamagedObject[] = [];
  const totals = { chains: 0, runs: 0, segments: 0, rows: 0, packs: 0, images: 0, labels: 0, versions: 0 };
  const lost: LostOffsets[] = [];
  const manifests: Manifest[] = [];
  for (const dataset of datasets) {
    const onDamaged = (error: SluiceError): number => damaged.push(damageOf(error));
    for await (const manifest of listVersions(store, dataset, onDamaged)) manifests.push(manifest);
  }
  totals.versions = manifests.length;
  const verifyChains = async (archive: ArchiveReader): Promise<void> => {
    const declared = await orDamage(archive.lostRanges(), null, damaged);
    // No chain can be read while it is not known what of it is lost.
    if (declared === null) return;
    lost.push(...lostOffsets(archive.archive, declared, manifests));
    for (const chain of await orDamage(archive.chains(), [], damaged)) {
      totals.chains++;
      const reader = archive.chain(chain);
      const seen = new Set<string>();
      const onGap = (gap: Gap): void => {
        const name = `${gap.start}/${gap.error.code}`;
        if (!seen.has(name)) damaged.push({ ...damageOf(gap.error), ...placeOf(chain, gap, manifests) });
        seen.add(name);
      };
      totals.runs += await orDamage(runsOf(reader, store, damaged), 0, damaged);
      const end = await reader.end(chain.origin, onGap);
      for await (const { batch } of reader.segments(chain.origin, end, onGap)) {
        throwIfStopped(signal, STOPPED);
        totals.segments++;
        totals.rows += batch.count;
        const counts = { scored: totals.rows, copied: 0, quarantined: 0 };
        onProgress?.({ phase: "verify", done: totals.segments, total: null, kept: 0, ...counts });
      }
      const onPack = (): void => {
        throwIfStopped(signal, STOPPED);
      };
      for await (const error of damagedPacks(store, reader, totals, onPack)) damaged.push(damageOf(error));
    }
  };
  for (const teacher of teachers) {
    const archive = new ArchiveReader(store, { teacher, stream });
    await pinned(store, archive.archive, "verify", options.clock ?? {}, () => verifyChains(archive));
  }
  totals.labels = await orDamage(labelsOf(store, stream), 0, damaged);
  await orDamage(readRelocations(store), [], damaged);
  await orDamage(streamLog(store, stream), null, damaged);
  for (const dataset of datasets) await orDamage(datasetRevisions(store, dataset), [], damaged);
  for await (const error of damagedCheckpoints(store)) damaged.push(damageOf(error));
  return { ...totals, damaged, lost };
}

function lostOffsets(
  { teacher, stream }: Archive,
  ranges: readonly LostRange[],
  manifests: readonly Manifest[],
): LostOffsets[] {
  return ranges.map((range, number) => {
    const { partition, origin, start, end, reason, author, declaredMs } = range;
    const versions = manifests
      .filter((one) => one.teacher.digest === teacher && lostSince(one, ranges).includes(number))
      .map((one) => `${one.dataset}/${one.number}`);
    const said = { reason, author, declaredMs, records: recordsLost(range), versions };
    return { teacher, stream, partition, origin, start, end, ...said };
  });
}

/** How many stand. What readers of all rows do not look at is read here: records and digests. */
async function runsOf({ runs }: ChainReader, store: Store, damaged: DamagedObject[]): Promise<number> {
  const standing = await runs.standing();
  for (const run of standing) {
    for (const file of (await runs.headUnlessLost(run))?.files ?? []) {
      // Where there is no such file, reading its rows says so, or a run of a higher level has taken its place.
      await orDamage(orNull(assertDigests(store, file), "E_STORE_MISSING"), null, damaged);
    }
  }
  const [first, last] = [standing[0], standing.at(-1)];
  if (first === undefined || last === undefined) return 0;
  for await (const { error } of damagedRecords(store, runs, first.start, last.end)) damaged.push(damageOf(error));
  return standing.length;
}

async function labelsOf(store: Store, stream: string): Promise<number> {
  let labels = 0;
  const all = archivedLabels(store, stream, await labelFrontier(store, stream));
  while ((await all.next()).done !== true) labels++;
  return labels;
}

const DAMAGE: ReadonlySet<ErrorCode> = new Set(["E_SEGMENT_CORRUPT", "E_CHAIN_GAP", "E_STORE_CORRUPT"]);

/** What was asked for; where it is damaged, `otherwise`, and the damage is noted. */
async function orDamage<T>(asked: Promise<T>, otherwise: T, damaged: DamagedObject[]): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!isSluiceError(error) || !DAMAGE.has(error.code)) throw error;
    damaged.push(damageOf(error));
    return otherwise;
  }
}

function damageOf({ code, message, context }: SluiceError): DamagedObject {
  const { key } = context;
  return { code, key: typeof key === "string" ? key : null, range: null, versions: [], message };
}

/** A gap, and the versions that were cut over it. */
function placeOf(
  chain: ChainName,
  { start, end }: Gap,
  manifests: readonly Manifest[],
): Pick<DamagedObject, "range" | "versions"> {
  const { teacher, stream, partition, origin } = chain;
  const versions = manifests
    .filter((one) => one.teacher.digest === teacher && one.provenance.stream === stream)
    .filter(({ provenance }) => endIn(provenance.frontier, chain) > start)
    .map(({ dataset, number }) => `${dataset}/${number}`);
  return { range: { teacher, stream, partition, origin, start, end }, versions };
}
