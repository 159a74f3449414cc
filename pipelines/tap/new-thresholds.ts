import type { Store } from "../../connectors/store/store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { readLostRanges } from "../../operators/archive/lost-ranges.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { newestSpan } from "../../operators/select/windows.js";
import { newestCoverage, restoreSpan } from "../../operators/state/checkpoint.js";
import { Coverage } from "../../operators/state/coverage.js";
import type { Config } from "../../schemas/config.js";
import type { Thresholds } from "../../schemas/wire/thresholds.js";
import { sleepUntil } from "../flow/sleep-until.js";
import type { Labels, Tapped } from "./tapped.js";

export interface ThresholdsAsked {
  readonly store: Store;
  readonly config: Pick<Config, "stream" | "datasets">;
  readonly fromStart: boolean;
  readonly signal: AbortSignal;
}

type Told = Extract<Tapped, { readonly stage: "thresholds" }>;

/** The thresholds of each checkpoint that is written in one process: of the newest window, all classes. */
export async function* checkpointedThresholds(
  { store, config, fromStart, signal }: ThresholdsAsked,
  everyMs: number,
): AsyncGenerator<Told, void, undefined> {
  const { stream } = config;
  const seen = new Map<string, number>();
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    for (const [teacher, card] of await readCards(store)) {
      const frontier = await currentFrontier(store, { teacher, stream });
      const lost = await readLostRanges(store, { teacher, stream });
      for (const dataset of config.datasets) {
        const newest = await newestCoverage(store, parametersDigest(dataset, teacher, stream, card), frontier, lost);
        const records = newest === null ? 0 : new Coverage(newest.coverage).records.in;
        const name = `${dataset.name}/${teacher}`;
        if (newest === null || seen.get(name) === records) continue;
        seen.set(name, records);
        if (isFirst && !fromStart) continue;
        const span = newestSpan(dataset.window, newest.coverage.lastMs ?? 0);
        const { topk } = await restoreSpan(store, { dataset, teacher, stream, card }, span, frontier, undefined, lost);
        const counts = topk.counts();
        const classes = [...topk.thresholds].map((key, index) => classOf(card.labels, index, key, counts[index]!));
        const place = { teacher, dataset: dataset.name, windowMs: span.startMs, shard: 0, shards: 1 };
        yield { stage: "thresholds", ...place, records, classes };
      }
    }
    await sleepUntil(everyMs, signal);
  }
}

/** What a message of the thresholds topic says. */
export function thresholdsTold(
  { dataset, teacher, paneMs, shard, shards, records, keys, counts }: Thresholds,
  labels: ReadonlyMap<string, Labels>,
): Told {
  const names = labels.get(teacher) ?? [];
  const classes = [...keys].map((key, at) => classOf(names, shard + at * shards, key, counts[at]!));
  return { stage: "thresholds", dataset, teacher, windowMs: paneMs, shard, shards, records, classes };
}

function classOf(labels: Labels, index: number, key: number, images: number): Told["classes"][number] {
  return { class: labels[index] ?? String(index), least: Number.isFinite(key) ? Math.exp(key) : null, images };
}
