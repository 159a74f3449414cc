import type { Store } from "../../connectors/store/store.js";
import { readManifest, versionNumbers } from "../../operators/version/manifests.js";
import type { Config } from "../../schemas/config.js";
import { sleepUntil } from "../flow/sleep-until.js";
import type { Tapped } from "./tapped.js";

export interface VersionsAsked {
  readonly store: Store;
  readonly config: Pick<Config, "datasets">;
  readonly fromStart: boolean;
  readonly signal: AbortSignal;
}

/** Versions of the declared datasets as they are published. */
export async function* versionsSince(
  { store, config, fromStart, signal }: VersionsAsked,
  everyMs: number,
): AsyncGenerator<Tapped, void, undefined> {
  const seen = new Map<string, number>();
  while (!signal.aborted) {
    for (const { name: dataset } of config.datasets) {
      const numbers = await versionNumbers(store, dataset);
      const known = seen.get(dataset) ?? (fromStart ? 0 : (numbers.at(-1) ?? 0));
      for (const number of numbers.filter((one) => one > known)) {
        const { id, totals, provenance } = await readManifest(store, dataset, number);
        yield { stage: "versions", dataset, number, id, rows: totals.rows, createdAt: provenance.createdAt };
      }
      seen.set(dataset, Math.max(known, numbers.at(-1) ?? 0));
    }
    await sleepUntil(everyMs, signal);
  }
}
