import type { Store } from "../../connectors/store/store.js";
import { keys } from "../../schemas/keys.js";

/**
 * Deletes every delta of a dataset. Each has rows of the version before its own, which may be gone by now: no index leads to them any more. Deltas are
 * caches, and what follows the dataset reads versions instead.
 */
export async function deleteDeltas(store: Store, dataset: string): Promise<void> {
  const prefix = keys.versions(dataset);
  const attempts = keys.attempts(dataset);
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) {
    // Numbers sort before `data/`, whose files are many.
    if (key >= attempts) break;
    const number = /^(\d+)\//.exec(key.slice(prefix.length))?.[1];
    if (number !== undefined && key === keys.delta(dataset, Number(number))) found.push(key);
  }
  for (const key of found) await store.delete(key);
}
