import type { LabelTopic } from "../pipelines/kafka/take-in-labels.js";
import type { Config } from "../schemas/config.js";
import type { OpenedStore } from "./existing-store.js";
import type { Invocation } from "./invocation.js";

/** The labels topic, where there is a Kafka cluster. */
export async function withLabelTopic<T>(
  run: Invocation,
  { kafka, stream }: Pick<Config, "kafka" | "stream">,
  store: OpenedStore,
  work: (topic: LabelTopic | null) => Promise<T>,
): Promise<T> {
  if (kafka === undefined) return work(null);
  const { openStreamKafka } = await import("../pipelines/open/open-kafka.js");
  const log = await openStreamKafka({ stream, kafka }, store, undefined, {
    rights: { roles: ["labeller"], stream, kafka },
  });
  const onWarning = (message: string): void => {
    run.warn(message);
  };
  try {
    return await work({ log, store, stream, topics: kafka.topics, onWarning, nowMs: run.terminal.nowMs });
  } finally {
    await log.close();
  }
}
