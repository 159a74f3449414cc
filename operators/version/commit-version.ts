import type { Store } from "../../connectors/store/store.js";
import { sameNames } from "../../schemas/class-names.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { atOrBelow } from "../../schemas/frontier.js";
import { labelsAtOrBelow } from "../../schemas/image-label.js";
import { keys } from "../../schemas/keys.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import { encodeManifest, findManifest } from "./manifests.js";

export interface CommitPolicy {
  /** A cut that nobody asked for by hand: its frontier must not be below its parent's */
  readonly automatic: boolean;
  /** What a publisher does that loses its number to another content: takes the next number, or gives up */
  readonly onConflict: "next" | "refuse";
}

/** A manifest without what the commit decides: its number and its parent. */
export type Draft = Omit<Manifest, "number" | "provenance"> & { provenance: Omit<Manifest["provenance"], "parent"> };

/** The newest version as the publisher saw it, null where there is none. */
export type Parent = Manifest | null;

/**
 * Creates the manifest, which is the version's existence: at the number after `parent`, or the next ones where other
 * publishers were quicker. Of two publishers of the same content the second gets `exists` and the first one's manifest.
 * Throws E_PUBLISH_CONFLICT (other content won and the policy forbids the next number, or the frontier is below the
 * parent's) and what the store throws; after the latter, the version may exist all the same.
 */
export async function commitVersion(
  store: Store,
  draft: Draft,
  parent: Parent,
  policy: CommitPolicy & {
    /** Takes the right to commit under a number; called before each manifest is created */
    readonly claim: (number: number) => Promise<void>;
  },
): Promise<{ manifest: Manifest; outcome: "created" | "exists" }> {
  let damaged = 0;
  for (let newest = parent; ;) {
    refuseRegress(draft, newest, policy);
    const manifest = withParent(draft, newest, damaged);
    const key = keys.manifest(draft.dataset, manifest.number);
    await policy.claim(manifest.number);
    let winner: Manifest;
    try {
      winner = await createOrRead(store, key, manifest);
    } catch (error) {
      if (!isSluiceError(error, "E_VERSION_CORRUPT")) throw error;
      // The number is taken by a manifest that cannot be read.
      damaged++;
      continue;
    }
    if (winner.provenance.commitId === draft.provenance.commitId) return { manifest: winner, outcome: "created" };
    if (isSameVersion(winner, draft)) return { manifest: winner, outcome: "exists" };
    if (policy.onConflict === "refuse") {
      throw new SluiceError(
        "E_PUBLISH_CONFLICT",
        `Expected to publish version ${manifest.number} of "${draft.dataset}", but another publisher published other content ` +
          `(id ${winner.id}) under that number meanwhile. Cut and publish again.`,
        { dataset: draft.dataset, number: manifest.number, id: winner.id },
      );
    }
    newest = winner;
    damaged = 0;
  }
}

/** The manifest that stands at `key` afterwards: ours, or another's. */
async function createOrRead(store: Store, key: string, manifest: Manifest): Promise<Manifest> {
  const read = (): Promise<Manifest | null> => findManifest(store, manifest.dataset, manifest.number);
  try {
    if ((await store.putIfAbsent(key, encodeManifest(manifest))) === "created") return manifest;
  } catch (error) {
    // A write that reports a failure may have happened all the same: only what can be read tells.
    const found = await read().catch((unreadable: unknown) => {
      // A store that is away now was away before: the first failure says it.
      if (isSluiceError(unreadable, "E_STORE_IO")) return null;
      throw unreadable;
    });
    if (found !== null) return found;
    throw error;
  }
  const found = await read();
  if (found !== null) return found;
  throw new SluiceError("E_STORE_IO", `Expected a manifest at ${key}, which exists, found none. Publish again.`, {
    retryable: true,
  });
}

/** Whether two versions have the same rows by the same parameters, and call their classes the same: names are no part of an id. */
export function isSameVersion(a: Pick<Manifest, "id" | "classes">, b: Pick<Manifest, "id" | "classes">): boolean {
  return a.id === b.id && sameNames(versionLabels(a), versionLabels(b));
}

/** `skipped`: how many numbers behind the parent's are taken by manifests that cannot be read. */
export function withParent(draft: Draft, parent: Parent, skipped = 0): Manifest {
  return {
    ...draft,
    number: (parent?.number ?? 0) + 1 + skipped,
    provenance: {
      ...draft.provenance,
      parent: parent === null ? null : { number: parent.number, id: parent.id },
    },
  };
}

/** Frontiers of other teachers or streams are of other chains, and cannot be compared. */
export function refuseRegress(
  draft: {
    teacher: Manifest["teacher"];
    dataset: string;
    provenance: Pick<Manifest["provenance"], "stream" | "frontier" | "labels">;
  },
  parent: Parent,
  policy: CommitPolicy,
): void {
  if (!policy.automatic || parent === null) return;
  if (parent.teacher.digest !== draft.teacher.digest || parent.provenance.stream !== draft.provenance.stream) return;
  const { frontier, labels } = draft.provenance;
  if (atOrBelow(parent.provenance.frontier, frontier) && labelsAtOrBelow(parent.provenance.labels, labels)) return;
  throw new SluiceError(
    "E_PUBLISH_CONFLICT",
    `Expected an automatic cut of "${draft.dataset}" at or above the frontier of version ${parent.number}, found one below it: ` +
      "a publisher with older state. Let it catch up and cut again, or publish by hand.",
    { dataset: draft.dataset, parent: parent.number },
  );
}
