import type { Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { findManifest, versionNumbers } from "./manifests.js";

const SWEPT = "swept";
const claimKey = (folder: string): string => `${folder}claim`;

/**
 * Takes the right to commit an attempt's files, against sweepers: publisher and sweeper race for one object that is
 * created only if absent. A sweeper that won removes its claim last, so that a publisher that gets the claim after it
 * finds files missing. Throws E_PUBLISH_CONFLICT (retryable, with a new attempt).
 */
export async function claimAttempt(
  store: Store,
  folder: string,
  commitId: string,
  files: readonly ManifestFile[],
): Promise<void> {
  const lost = (found: string): SluiceError =>
    new SluiceError(
      "E_PUBLISH_CONFLICT",
      `Expected the files of this attempt under ${folder}, found ${found}: a sweeper took the attempt for dead. Publish again.`,
      { folder, retryable: true },
    );
  const key = claimKey(folder);
  if ((await store.putIfAbsent(key, new TextEncoder().encode(commitId))) === "exists") {
    const holder = new TextDecoder().decode(await store.get(key));
    if (holder !== commitId) throw lost(`a claim by "${holder}"`);
  }
  const sizes = new Map<string, number>();
  for await (const { key, sizeBytes } of store.list(folder)) sizes.set(key, sizeBytes);
  for (const { key, sizeBytes } of files) {
    if (sizes.get(key) !== sizeBytes) throw lost(`${key} of ${sizes.get(key) ?? "no"} bytes instead of ${sizeBytes}`);
  }
}

/** Removes an attempt of this process's own. */
export async function removeAttempt(store: Store, folder: string): Promise<void> {
  for await (const { key } of store.list(folder)) await store.delete(key);
}

export interface SweepReport {
  /** Attempts removed */
  readonly removed: readonly string[];
  /** Attempts that claimed their commit and have no manifest (yet): removed only where the caller vouches for their death */
  readonly undecided: readonly string[];
}

export interface SweepOptions {
  /** Which attempts to look at, say those whose name tells that they are old. Default: all. */
  readonly consider?: (attempt: string) => boolean;
  /** Vouches that an attempt's process is gone; by default nobody does */
  readonly isDead?: (attempt: string) => boolean;
}

/**
 * Removes what dead attempts to publish left behind. An attempt that has not claimed its commit is swept whether dead or
 * not: its publisher, if alive, fails its claim and has to publish again. One that has is left, unless `isDead`.
 */
export async function sweepAttempts(
  store: Store,
  dataset: string,
  { consider = () => true, isDead = () => false }: SweepOptions = {},
): Promise<SweepReport> {
  const prefix = keys.attempts(dataset);
  const attempts: string[] = [];
  for await (const { key } of store.list(prefix)) {
    const attempt = key.slice(prefix.length).split("/")[0]!;
    if (attempts.at(-1) !== attempt && consider(attempt)) attempts.push(attempt);
  }
  // Read after the attempts: an attempt that commits later than this holds its claim.
  const published = await publishedFolders(store, dataset);
  const removed: string[] = [];
  const undecided: string[] = [];
  for (const attempt of attempts) {
    const folder = keys.attempt(dataset, attempt);
    if (published.has(folder)) continue;
    const claim = claimKey(folder);
    const taken = (await store.putIfAbsent(claim, new TextEncoder().encode(SWEPT))) === "created";
    const ours = taken || new TextDecoder().decode(await store.get(claim)) === SWEPT;
    if (!ours && !isDead(attempt)) {
      undecided.push(attempt);
      continue;
    }
    // A claimed attempt may have committed since; a dead one cannot any more.
    if (!ours && (await publishedFolders(store, dataset)).has(folder)) continue;
    for await (const { key } of store.list(folder)) if (key !== claim) await store.delete(key);
    await store.delete(claim);
    removed.push(attempt);
  }
  return { removed, undecided };
}

/** Folders of attempts that a manifest made a version. */
async function publishedFolders(store: Store, dataset: string): Promise<Set<string>> {
  const prefix = keys.attempts(dataset);
  const folders = new Set<string>();
  for (const number of await versionNumbers(store, dataset)) {
    const manifest = await findManifest(store, dataset, number);
    for (const { key } of manifest?.files ?? []) {
      folders.add(key.slice(0, key.indexOf("/", prefix.length) + 1));
    }
  }
  return folders;
}
