import type { Store } from "../connectors/store/store.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import { ErasedImages } from "../operators/archive/erased-images.js";
import { oldestPin } from "../operators/archive/pins.js";
import { sweepChain } from "../operators/archive/sweep-chain.js";
import { readCards } from "../operators/archive/teacher-registry.js";
import { throwIfStopped } from "../operators/archive/throw-if-stopped.js";
import { collectPacks, type CollectedPacks } from "../operators/pack/collect-packs.js";
import { sweepAttempts } from "../operators/version/attempt.js";
import { publishedDatasets } from "../operators/version/manifests.js";
import type { SluiceError } from "../schemas/errors.js";
import type { OnProgress } from "../schemas/progress.js";
import { SWEEP_AFTER_MS } from "./compact.js";
import { leavingOf, retireVersions, type LeavingVersion } from "./collect/retire-versions.js";
import { neededImages } from "./collect/needed-images.js";
import { lostAttempts } from "./collect/lost-attempts.js";
import { unneededCheckpoints } from "./collect/unneeded-checkpoints.js";

const STOPPED = "The collection was stopped on request. What is needed is there; run it again to go on.";

export interface CollectOptions {
  readonly store: Store;
  readonly stream: string;
  /** Say what would go, and change nothing */
  readonly dryRun: boolean;
  readonly nowMs: () => number;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  /** How long what was dropped stays. Default one hour */
  readonly graceMs?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

/** Objects, and how large they are. */
export interface Counted {
  readonly objects: number;
  readonly sizeBytes: number;
}

export interface Collected {
  /** Versions that their datasets' rules let go */
  readonly versions: readonly LeavingVersion[];
  /** Images whose bytes somebody needs; null where nothing says what may go, so that all of them stay */
  readonly needed: number | null;
  readonly packs: CollectedPacks;
  /** Segments and files that runs have taken over */
  readonly runs: Counted;
  /** Files of attempts to publish that lost */
  readonly attempts: Counted;
  /** Checkpoints of what is no longer declared */
  readonly checkpoints: Counted;
  /** What cannot be read: it stays as it is */
  readonly refused: readonly SluiceError[];
}

/**
 * Frees what nobody needs: images in packs, packs of segments that never came to be, files of attempts that lost, states of what is no longer
 * declared, what compaction has replaced, versions that their dataset's rule lets go. Readers, scorers and publishers lose nothing meanwhile: what is dropped is deleted a grace later,
 * once pins are over and it still is not needed. Manifests, claims, run indexes and declarations stay for ever.
 */
export async function collect(options: CollectOptions): Promise<Collected> {
  const { store, stream, dryRun, nowMs, graceMs = SWEEP_AFTER_MS, onProgress, signal } = options;
  // Before anything is looked at: see `KeptAgain`.
  const pinnedMs = await oldestPin(store, "all", nowMs());
  const untilMs = Math.min(nowMs() - graceMs, pinnedMs ?? Number.POSITIVE_INFINITY);
  const versions = await retireVersions(store, stream, { dryRun, nowMs: nowMs(), untilMs });
  const needed = await neededImages(store, stream, leavingOf(versions));
  const refused: SluiceError[] = [];
  const erased = new ErasedImages(store, stream, nowMs);
  await erased.lookNow();
  const isErased = (digest: Uint8Array): boolean => erased.size > 0 && erased.has(Buffer.from(digest).toString("hex"));
  const ofErased = erased.size === 0 ? {} : { isErased };
  const packs = { images: 0, imageBytes: 0, restored: 0, deleted: 0, deletedBytes: 0, orphans: 0, left: 0, erased: 0 };
  const runs = { objects: 0, sizeBytes: 0 };
  let steps = 0;
  const onStep = (): void => {
    throwIfStopped(signal, STOPPED);
    const counts = { scored: 0, copied: 0, quarantined: 0, kept: 0 };
    onProgress?.({ phase: "collect", done: steps++, total: null, ...counts });
  };
  for (const teacher of (await readCards(store)).keys()) {
    const archive = new ArchiveReader(store, { teacher, stream });
    for (const chain of await archive.chains()) {
      onStep();
      if (!dryRun) {
        const swept = await sweepChain(store, chain, untilMs);
        runs.objects += swept.segments + swept.files;
        runs.sizeBytes += swept.sizeBytes;
      }
      const isNeeded = (digest: Uint8Array): boolean => !isErased(digest) && (needed.isAll || needed.has(digest));
      const onRefused = (error: SluiceError): number => refused.push(error);
      const reader = archive.chain(chain);
      const done = await collectPacks({ ...options, ...ofErased, reader, isNeeded, untilMs, onStep, onRefused });
      for (const name of Object.keys(packs) as (keyof CollectedPacks)[]) packs[name] += done[name];
    }
  }
  const attempts = { objects: 0, sizeBytes: 0 };
  for (const dataset of await publishedDatasets(store)) {
    const lost = await lostAttempts(store, dataset, nowMs());
    for (const { sizeBytes } of lost.files) {
      attempts.objects++;
      attempts.sizeBytes += sizeBytes;
    }
    if (!dryRun) await sweepAttempts(store, dataset, { consider: (attempt) => lost.attempts.has(attempt) });
  }
  const checkpoints = { objects: 0, sizeBytes: 0 };
  for await (const { key, sizeBytes } of unneededCheckpoints(store, needed.parameters)) {
    onStep();
    if (!dryRun) await store.delete(key);
    checkpoints.objects++;
    checkpoints.sizeBytes += sizeBytes;
  }
  return { versions, needed: needed.isAll ? null : needed.count, packs, runs, attempts, checkpoints, refused };
}
