import type { Store } from "../connectors/store/store.js";
import type { Config } from "../schemas/config.js";
import { isSluiceError, orNull } from "../schemas/errors.js";
import type { StandingControl } from "../schemas/flow-control.js";
import { standingControl } from "./flow/flow-control.js";
import { furthestArchived } from "./flow/furthest-archived.js";
import { kafkaStatus, withKafka, type KafkaStatus } from "./kafka/kafka-status.js";
import { withLog } from "./open/folder-holder.js";
import { status, type HeldRecords, type TeacherStatus } from "./status.js";

/** What the log and the store say, whichever of them answers. */
export interface StatusSeen {
  readonly teachers: readonly TeacherStatus[];
  /** Why the store cannot be read; null where it can */
  readonly storeAway: string | null;
  /** null: the log is in the data folder */
  readonly kafka: KafkaStatus | null;
  /** What the log in the data folder has, by partition; null where there is none, or not this stream in it */
  readonly log: readonly HeldRecords[] | null;
  /** Why that log cannot be read: it is damaged; null where it can */
  readonly logDamage: string | null;
  /** What was asked last of those who score: to pause, to go on, to drain. null where nothing ever was, or the store does not answer */
  readonly control: StandingControl | null;
}

/** What `sluice status` and the console say. `store` is null where it does not answer, and `storeAway` says why. */
export async function statusSeen(
  config: Config,
  store: Store | null,
  storeAway: string | null,
  nowMs: number,
): Promise<StatusSeen> {
  const { kafka } = config;
  const control = store === null ? null : await orNull(standingControl(store, config.stream), "E_STORE_CORRUPT");
  const none = { kafka: null, log: null, logDamage: null, control };
  if (kafka === undefined) {
    if (store === null) return { ...none, teachers: [], storeAway };
    try {
      const told = await withLog(config, async (log) => ({
        teachers: await status(config, store, log, nowMs),
        log: await log.held(config.stream),
      }));
      if (told !== null) return { ...none, ...told, storeAway };
      return { ...none, teachers: await status(config, store, null, nowMs), storeAway };
    } catch (error) {
      if (!isSluiceError(error, "E_LOG_CORRUPT")) throw error;
      // What is archived is told all the same.
      return { ...none, teachers: await status(config, store, null, nowMs), storeAway, logDamage: error.message };
    }
  }
  return withKafka({ stream: config.stream, kafka }, store, async (opened) => {
    const scoredTo = store === null ? null : await furthestArchived(store, config.stream);
    const said = await kafkaStatus(opened, config, kafka, scoredTo, store, nowMs);
    // A topic that cannot be read is said of the log; the archive is told all the same.
    const log = said.away === null ? opened.log : null;
    const teachers = store === null ? [] : await status(config, store, log, nowMs);
    return { ...none, teachers, storeAway, kafka: said };
  });
}
