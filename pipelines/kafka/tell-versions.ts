import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Store } from "../../connectors/store/store.js";
import type { Config } from "../../schemas/config.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { openStreamKafka } from "../open/open-kafka.js";
import { VersionNotices } from "./version-notices.js";

export interface TellVersionsOptions {
  /** The cluster, where the caller has it open */
  readonly opened?: KafkaLog | null;
  readonly onWarning?: ((message: string, code?: string) => void) | undefined;
}

/**
 * Tells the versions topic what it does not know yet, where the stream is on a cluster. Each command that makes a version calls it: at least
 * once, in order. The versions stand, whatever becomes of this. Throws E_LOG_IO, E_LOG_ACCESS, E_STORE_OTHER.
 */
export async function tellVersions(
  config: Config,
  store: Store,
  { opened = null, onWarning }: TellVersionsOptions = {},
): Promise<void> {
  const { kafka, stream, datasets } = config;
  if (kafka === undefined) return;
  try {
    const log = opened ?? (await openStreamKafka({ stream, kafka }, store));
    try {
      const notices = await VersionNotices.open({
        log,
        topic: kafka.topics.versions,
        store,
        stream,
        datasets,
        onWarning,
      });
      await notices.send();
    } finally {
      if (log !== opened) await log.close();
    }
  } catch (error) {
    if (!isSluiceError(error)) throw error;
    throw new SluiceError(
      error.code,
      `Expected to tell topic ${kafka.topics.versions} of what was published, found: ${error.message} What was published stands; the next publisher, ingest or rebuild tells of it.`,
      { ...error.context, cause: error, retryable: error.retryable },
    );
  }
}
