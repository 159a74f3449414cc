import type { Store } from "../../connectors/store/store.js";
import { labelFrontier, labelSegments } from "../../operators/archive/image-labels.js";
import type { Config } from "../../schemas/config.js";
import { sleepUntil } from "../flow/sleep-until.js";
import type { Tapped } from "./tapped.js";

export interface LabelsAsked {
  readonly store: Store;
  readonly config: Pick<Config, "stream">;
  readonly fromStart: boolean;
  readonly signal: AbortSignal;
}

/** What people say of images, as it is archived: from then on versions heed it. */
export async function* labelsSince(
  { store, config, fromStart, signal }: LabelsAsked,
  everyMs: number,
): AsyncGenerator<Tapped, void, undefined> {
  const { stream } = config;
  const seen = new Map<number, number>(
    fromStart ? [] : (await labelFrontier(store, stream)).map(({ partition, end }) => [partition, end]),
  );
  while (!signal.aborted) {
    for (const { partition, end } of await labelFrontier(store, stream)) {
      for await (const { labels } of labelSegments(store, stream, { partition, from: seen.get(partition) ?? 0, end })) {
        for (const label of labels) {
          const { sha256, verdict, timeMs, by } = label;
          yield {
            stage: "labels",
            partition,
            sha256,
            verdict,
            class: "class" in label ? label.class : null,
            timeMs,
            by,
          };
        }
      }
      seen.set(partition, end);
    }
    await sleepUntil(everyMs, signal);
  }
}
