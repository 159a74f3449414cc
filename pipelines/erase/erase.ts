import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { ErasedImages } from "../../operators/archive/erased-images.js";
import { eraseRows, placesOf } from "../../operators/archive/erase-rows.js";
import { appendLabels } from "../../operators/archive/image-labels.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { eraseMembers } from "../../operators/pack/erase-members.js";
import { sweepAttempts } from "../../operators/version/attempt.js";
import { retiredVersions } from "../../operators/version/retirements.js";
import { versionNumbers } from "../../operators/version/manifests.js";
import { isSluiceError, type SluiceError } from "../../schemas/errors.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { OnProgress } from "../../schemas/progress.js";
import { freeRetired } from "../collect/retire-versions.js";
import { deleteDeltas } from "./delete-deltas.js";
import { redactVersion, type RedactedVersion } from "./redact-version.js";

const STOPPED = "The erasure was stopped. What is recorded as erased stays so; run `sluice erase` again to go on.";

export interface EraseOptions {
  readonly store: Store;
  readonly streams: readonly string[];
  /** SHA-256 of images, 64 hexadecimal digits each; none: only what was recorded before goes on */
  readonly digests: readonly string[];
  readonly by: string | null;
  readonly reason: string | null;
  /** No scorer is at work on these archives */
  readonly isAlone: boolean;
  /** Draws contact sheets anew */
  readonly sheets: SheetRenderer;
  /** Say what would go, and change nothing */
  readonly dryRun: boolean;
  readonly nowMs: () => number;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A record of an image on the log, at its place */
export interface ErasedRecord {
  readonly sha256: string;
  readonly stream: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Erased {
  /** Every image that is erased by now, those of earlier calls, too */
  readonly all: ReadonlySet<string>;
  readonly images: readonly {
    readonly sha256: string;
    /** `before`: it was recorded as erased already */
    readonly recorded: "now" | "before";
    /** Whether the archive has a record of it */
    readonly isKnown: boolean;
  }[];
  /** Every record that the archive has of the images */
  readonly records: readonly ErasedRecord[];
  /** Records of the archive that led to an image */
  readonly rows: number;
  readonly packs: { readonly images: number; readonly packs: number };
  readonly versions: readonly RedactedVersion[];
  /** Where the images lay when they came, as long as the archive said so: files that are not Sluice's */
  readonly uris: readonly string[];
  /** What is left because a process may still be at work on it: the next call looks again */
  readonly waiting: readonly string[];
  /** What cannot be read, and may therefore have an image still */
  readonly refused: readonly SluiceError[];
}

const NOWHERE: ReadonlyMap<string, string> = new Map();
const NOTHING_SCORED = { scored: 0, copied: 0, kept: 0, quarantined: 0 } as const;

/**
 * Takes images out of all that a store has: first each is recorded as erased for ever, then what leads to it goes from rows, packs, versions and
 * attempts to publish. It works on all that were ever recorded, so that one that was killed is gone on from. Throws what the store throws.
 */
export async function erase(options: EraseOptions): Promise<Erased> {
  const { store, streams, digests, dryRun, signal } = options;
  const all = new Set(digests);
  const before = new Set<string>();
  for (const stream of streams) {
    const known = await recorded(options, stream);
    for (const digest of known) all.add(digest);
    for (const digest of digests) if (known.has(digest)) before.add(digest);
  }
  const records: ErasedRecord[] = [];
  /** Where the images lay, with the digest of each */
  const uris = new Map<string, string>();
  const waiting: string[] = [];
  const refused: SluiceError[] = [];
  let rows = 0;
  const packs = { images: 0, packs: 0 };
  const progress = (): void => options.onProgress?.({ ...NOTHING_SCORED, phase: "erase", done: rows, total: null });
  progress();
  const chains = await chainsOf(store, streams);
  for (const chain of chains) {
    throwIfStopped(signal, STOPPED);
    const leads = { digests: all, uris: NOWHERE };
    for await (const { isLeft, uri, ...place } of placesOf(store, readerOf(store, chain), leads)) {
      records.push({ stream: chain.stream, ...place });
      if (!isLeft) continue;
      rows++;
      if (!uri.startsWith("log://")) uris.set(uri, place.sha256);
      progress();
    }
  }
  // Records that were refused unread are told by the uri alone, and rows say it: what rows say goes last, so that a run after one that was
  // killed still finds both.
  for (const chain of uris.size === 0 ? [] : chains) {
    throwIfStopped(signal, STOPPED);
    const leads = { digests: new Set<string>(), uris };
    let left = 0;
    for await (const { isLeft, sha256, partition, offset } of placesOf(store, readerOf(store, chain), leads)) {
      records.push({ stream: chain.stream, sha256, partition, offset });
      if (isLeft) left++;
    }
    rows += left;
    progress();
    if (left > 0 && !dryRun) await eraseRows({ ...options, chain, leads });
  }
  for (const chain of chains) {
    throwIfStopped(signal, STOPPED);
    if (!dryRun) {
      const stopped = await eraseRows({ ...options, chain, leads: { digests: all, uris } });
      if (stopped !== null) refused.push(stopped.error);
    }
    const members = [...all].map((digest) => Buffer.from(digest, "hex"));
    const gone = await eraseMembers({ ...options, reader: readerOf(store, chain), digests: members });
    packs.images += gone.images;
    packs.packs += gone.packs;
    waiting.push(...gone.waiting);
  }
  const versions: RedactedVersion[] = [];
  for (const dataset of await datasetsIn(store)) {
    if (!dryRun) {
      const { undecided } = await sweepAttempts(store, dataset);
      waiting.push(...undecided.map((attempt) => keys.attempt(dataset, attempt)));
    }
    // An erasure does not wait for those who still read a version that was let go.
    for (const { number } of dryRun ? [] : await retiredVersions(store, dataset))
      await freeRetired(store, dataset, number);
    for (const number of await versionNumbers(store, dataset)) {
      throwIfStopped(signal, STOPPED);
      try {
        const redacted = await redactVersion({ ...options, dataset, number, digests: all });
        if (redacted !== null) versions.push(redacted);
      } catch (error) {
        if (!isSluiceError(error, "E_VERSION_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
        refused.push(error);
      }
    }
    // Behind the files, for a publisher may have written one meanwhile.
    if (!dryRun && all.size > 0) await deleteDeltas(store, dataset);
  }
  const known = new Set(records.map(({ sha256 }) => sha256));
  const images = [...new Set(digests)].map((sha256) => ({
    sha256,
    recorded: before.has(sha256) ? ("before" as const) : ("now" as const),
    isKnown: known.has(sha256),
  }));
  return { all, images, records, rows, packs, versions, uris: [...uris.keys()].sort(), waiting, refused };
}

/** Records images as erased where they are not, and returns all that are. */
async function recorded(options: EraseOptions, stream: string): Promise<ReadonlySet<string>> {
  const { store, digests, by, reason, dryRun, nowMs } = options;
  const images = new ErasedImages(store, stream, nowMs);
  await images.lookNow();
  const known = new Set(images.digests);
  const fresh = [...new Set(digests)].filter((digest) => !known.has(digest));
  if (fresh.length === 0 || dryRun) return known;
  const said = { timeMs: nowMs(), by, ...(reason === null ? {} : { reason }) };
  await appendLabels(
    store,
    stream,
    fresh.map((sha256): ImageLabel => ({ verdict: "erased", sha256, ...said })),
  );
  return known;
}

/** Every chain of some streams, of whatever teacher. */
async function chainsOf(store: Store, streams: readonly string[]): Promise<ChainName[]> {
  const chains: ChainName[] = [];
  for (const teacher of (await readCards(store)).keys())
    for (const stream of streams) chains.push(...(await new ArchiveReader(store, { teacher, stream }).chains()));
  return chains;
}

/** One that remembers nothing of the chain. */
function readerOf(store: Store, chain: ChainName) {
  return new ArchiveReader(store, chain).chain(chain);
}

/** Names of datasets that have versions, or attempts at one. */
async function datasetsIn(store: Store): Promise<string[]> {
  const names = new Set<string>();
  let after: string | undefined;
  for (;;) {
    let name: string | undefined;
    for await (const { key } of store.list(keys.allVersions, { after })) {
      name = key.slice(keys.allVersions.length).split("/")[0]!;
      break;
    }
    if (name === undefined) return [...names];
    names.add(name);
    // Behind every key of that folder
    after = `${keys.allVersions}${name}/~`;
  }
}
