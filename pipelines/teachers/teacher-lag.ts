import type { Store } from "../../connectors/store/store.js";
import type { Config } from "../../schemas/config.js";
import { withLog } from "../open/folder-holder.js";
import { openKafka } from "../open/open-kafka.js";
import { liveLag } from "./take-over.js";

/** Records that a teacher which stood before has not scored; null where there is no log to look at. */
export async function lagOf(
  { config, store }: { readonly config: Config; readonly store: Store },
  teacher: string,
): Promise<number | null> {
  if (config.kafka === undefined) return withLog(config, (log) => liveLag(log, { config, store }, teacher));
  const log = await openKafka(config.kafka);
  try {
    return await liveLag(log, { config, store }, teacher);
  } finally {
    await log.close();
  }
}
