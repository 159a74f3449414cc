import type { Store, StoredObject } from "../../connectors/store/store.js";
import { manifestsNewestFirst } from "../../operators/version/manifests.js";
import type { SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";

/** Younger attempts are not looked at: most of them are at work. */
const OLD_MS = 24 * 3600 * 1000;

export interface LostAttempts {
  readonly attempts: ReadonlySet<string>;
  readonly files: readonly StoredObject[];
}

/**
 * Attempts to publish that began more than a day ago, by their names, and whose files no version has. Whether a publisher may still
 * commit one is for `sweepAttempts` to find out. Throws where a manifest cannot be read: nobody knows whose files it names.
 */
export async function lostAttempts(store: Store, dataset: string, nowMs: number): Promise<LostAttempts> {
  const prefix = keys.attempts(dataset);
  const found = new Map<string, StoredObject[]>();
  for await (const object of store.list(prefix)) {
    const attempt = object.key.slice(prefix.length).split("/")[0]!;
    const startedMs = Number(attempt.split("-")[0]);
    if (!(startedMs < nowMs - OLD_MS)) continue;
    const files = found.get(attempt);
    if (files === undefined) found.set(attempt, [object]);
    else files.push(object);
  }
  // Read after the attempts: what is committed later holds its claim.
  const refuse = (error: SluiceError): never => {
    throw error;
  };
  if (found.size > 0) {
    for await (const { files } of manifestsNewestFirst(store, dataset, refuse, "all"))
      for (const { key } of files) found.delete(key.slice(prefix.length).split("/")[0]!);
  }
  return { attempts: new Set(found.keys()), files: [...found.values()].flat() };
}
