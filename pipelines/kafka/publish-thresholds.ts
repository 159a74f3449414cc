import type { Log } from "../../connectors/log/log.js";
import { paneSpan } from "../../operators/select/windows.js";
import { shardOfClass, type Shard } from "../../schemas/shard.js";
import { encodeThresholds, forgetThresholds } from "../../schemas/wire/thresholds.js";
import type { DurableThresholds } from "../flow/live-datasets.js";

export interface PublishThresholdsOptions {
  readonly log: Pick<Log, "append">;
  readonly topic: string;
  readonly teacher: string;
  readonly shard: Shard;
  readonly nowMs: () => number;
}

/** Tells the thresholds of a checkpoint that has just become durable, and ends those of panes that have closed with it. */
export async function publishThresholds(durable: DurableThresholds, options: PublishThresholdsOptions): Promise<void> {
  const { dataset, parameters, at, records, scored, panes, closed } = durable;
  const { log, topic, teacher, shard, nowMs } = options;
  const own = <Column extends Float64Array | Uint32Array>(column: Column): Column =>
    column.filter((_: number, classIndex: number) => shardOfClass(classIndex, shard.count) === shard.index) as Column;
  const told = [...panes].map(([pane, { keys, counts }]) => {
    const place = {
      dataset: dataset.name,
      teacher,
      paneMs: paneSpan(dataset.window, pane).startMs,
      shard: shard.index,
    };
    if (closed.includes(pane)) return forgetThresholds(place, nowMs());
    return encodeThresholds(
      {
        ...place,
        parameters,
        shards: shard.count,
        at,
        records,
        scored,
        keys: own(keys),
        counts: own(Uint32Array.from(counts)),
      },
      nowMs(),
    );
  });
  if (told.length > 0) await log.append(topic, 0, told);
}
