import { z } from "zod";
import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";
import { readableManifest, versionNumbers } from "./manifests.js";

/**
 * An attempt's claims are objects numbered from 1, each created only if absent. A publisher claims the number that it is about to
 * create the manifest of; where another publisher has that number, it needs one claim more. A sweeper that takes the next
 * claim first ends the attempt: the publisher cannot commit at another number any more.
 */
const claimKey = (folder: string, claim: number): string => `${folder}claim-${claim}`;

/** Whether an object of an attempt's folder is a claim, which is no part of the version. */
export function isClaim(key: string): boolean {
  return /\/claim-\d+$/.test(key);
}

const claimSchema = z.union([
  z.strictObject({ swept: z.literal(true) }),
  z.strictObject({ commitId: z.string(), number: z.int().positive() }),
]);
type Claim = z.infer<typeof claimSchema>;

/**
 * Takes the right to commit an attempt's files as version `number`, against sweepers. A sweeper removes its claim last, so
 * that a publisher which gets a claim after it finds files missing. Throws E_PUBLISH_CONFLICT (retryable, with a new attempt).
 */
export async function claimAttempt(
  store: Store,
  folder: string,
  { commitId, number }: { readonly commitId: string; readonly number: number },
  files: readonly ManifestFile[],
): Promise<void> {
  const lost = (found: string): SluiceError =>
    new SluiceError(
      "E_PUBLISH_CONFLICT",
      `Expected the files of this attempt under ${folder}, found ${found}: a sweeper took the attempt for dead. Publish again.`,
      { folder, retryable: true },
    );
  for (let claim = 1; ; claim++) {
    const standing = await createOrReadClaim(store, claimKey(folder, claim), { commitId, number });
    if ("swept" in standing) throw lost("a sweeper's claim");
    if (standing.commitId !== commitId) throw lost(`a claim by "${standing.commitId}"`);
    if (standing.number === number) break;
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
  /** Attempts whose publisher, were it alive, could still commit what it has claimed: left, however old they are */
  readonly undecided: readonly string[];
}

export interface SweepOptions {
  /** Which attempts to look at, say those whose name tells that they are old. Default: all. */
  readonly consider?: (attempt: string) => boolean;
}

/**
 * Removes what attempts to publish left behind. One that has claimed nothing is swept whether its publisher lives or not: that
 * one's claim fails, and it has to publish again. One that has claimed a number is swept only where another version has that
 * number; no age and no silence says that a publisher is gone.
 */
export async function sweepAttempts(
  store: Store,
  dataset: string,
  { consider = () => true }: SweepOptions = {},
): Promise<SweepReport> {
  const prefix = keys.attempts(dataset);
  const attempts: string[] = [];
  for await (const { key } of store.list(prefix)) {
    const attempt = key.slice(prefix.length).split("/")[0]!;
    if (attempts.at(-1) !== attempt && consider(attempt)) attempts.push(attempt);
  }
  const removed: string[] = [];
  const undecided: string[] = [];
  if (attempts.length === 0) return { removed, undecided };
  // Read after the attempts: an attempt that commits later than this holds its claim.
  const published = await publishedFolders(store, dataset);
  if (published === null) return { removed, undecided: attempts };
  for (const attempt of attempts) {
    const folder = keys.attempt(dataset, attempt);
    if (published.has(folder)) continue;
    const fate = await takeFromPublisher(store, dataset, folder);
    if (fate === "undecided") undecided.push(attempt);
    if (fate !== "swept") continue;
    const claims: string[] = [];
    for await (const { key } of store.list(folder)) {
      if (isClaim(key)) claims.push(key);
      else await store.delete(key);
    }
    // The sweeper's own, which is the last by number, goes last.
    claims.sort((a, b) => Number(a.slice(a.lastIndexOf("-") + 1)) - Number(b.slice(b.lastIndexOf("-") + 1)));
    for (const key of claims) await store.delete(key);
    removed.push(attempt);
  }
  return { removed, undecided };
}

/** Takes an attempt's next claim, if every number that its publisher has claimed is another version's. */
async function takeFromPublisher(
  store: Store,
  dataset: string,
  folder: string,
): Promise<"swept" | "published" | "undecided"> {
  for (let claim = 1; ; claim++) {
    const standing = await createOrReadClaim(store, claimKey(folder, claim), { swept: true });
    if ("swept" in standing) return "swept";
    // One that cannot be read may be this attempt's.
    const winner = await readableManifest(store, dataset, standing.number, () => undefined);
    if (winner === null) return "undecided";
    if (winner.provenance.commitId === standing.commitId) return "published";
  }
}

/** The claim that stands at `key` afterwards. */
async function createOrReadClaim(store: Store, key: string, mine: Claim): Promise<Claim> {
  if ((await store.putIfAbsent(key, sealJson(mine))) === "created") return mine;
  try {
    return claimSchema.parse(openSealedJson(await store.get(key)));
  } catch (cause) {
    // Another sweeper has removed it since, as the last thing of the attempt.
    if (isSluiceError(cause, "E_STORE_MISSING")) return { swept: true };
    if (isSluiceError(cause)) throw cause;
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected a publisher's claim at ${key}, found something else. Delete it.`,
      {
        cause,
        key,
      },
    );
  }
}

/** Folders of attempts that a manifest made a version; null where one cannot be read: nobody knows whose files it names. */
async function publishedFolders(store: Store, dataset: string): Promise<Set<string> | null> {
  const prefix = keys.attempts(dataset);
  const folders = new Set<string>();
  for (const number of await versionNumbers(store, dataset, "all")) {
    const damaged: string[] = [];
    const manifest = await readableManifest(store, dataset, number, ({ message }) => damaged.push(message));
    if (damaged.length > 0) return null;
    for (const { key } of manifest?.files ?? []) {
      folders.add(key.slice(0, key.indexOf("/", prefix.length) + 1));
    }
  }
  return folders;
}
