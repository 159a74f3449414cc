import type { GroupLag } from "../../connectors/log/kafka/lag.js";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Config } from "../../schemas/config.js";
import { groupPrefix, type GroupPlace } from "../../schemas/kafka-names.js";
import type { YieldOptions } from "./yield-to-live.js";

export interface LiveLagOptions {
  /** Of the images, whose topic it is */
  readonly place: GroupPlace;
  /** Groups that are less behind are not looked at closely, records */
  readonly most: number;
  /** A record that came less than this ago is no lag yet: a scorer that keeps up may have it in an unfilled segment, ms */
  readonly settleMs: number;
  readonly nowMs: () => number;
}

/** Waits while a live scorer of the configured stream has left more than `most` records lying. */
export function yieldToLive(
  log: KafkaLog,
  { config, most, nowMs }: { readonly config: Config; readonly most: number; readonly nowMs: () => number },
): Pick<YieldOptions, "lags" | "most"> {
  const options = { place: config, most, settleMs: 2 * config.archive.segmentDelayMs, nowMs };
  return { most, lags: () => liveLags(log, options) };
}

/** How many records live scorers have left lying for longer than they may, by group; those that have members. */
export async function liveLags(log: KafkaLog, options: LiveLagOptions): Promise<readonly GroupLag[]> {
  const { place, most, settleMs, nowMs } = options;
  const topic = place.stream;
  const behind = (await log.groupLags(topic, `${groupPrefix(place, "score")}-`)).filter(({ lag }) => lag > most);
  if (behind.length === 0) return [];
  const due = await log.offsetsAt(topic, nowMs() - settleMs);
  const ends = await log.ends(topic);
  const lags: GroupLag[] = [];
  for (const { group } of behind) {
    let lag = 0;
    for (const [partition, { start }] of ends.entries()) {
      const committed = (await log.committed(group, topic, partition)) ?? start;
      lag += Math.max(0, (due[partition] ?? 0) - Math.max(start, committed));
    }
    lags.push({ group, lag });
  }
  return lags;
}
