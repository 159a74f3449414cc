import type { Deviation, DeclaredTopic } from "../../pipelines/kafka/topics.js";
import { EXIT, isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import type { Config } from "../../schemas/config.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openExistingStore } from "../existing-store.js";
import { counted } from "../../schemas/counted.js";

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice topics create", "makes the topics that are not there yet, then checks all of them"],
      ["sluice topics check", "says how topics differ from what Sluice needs, and what to do"],
    ]),
  );
  for (const [name, summary, description] of [
    ["create", "make the topics that are absent", "Makes the topics that are absent, then checks all of them."],
    ["check", "how topics differ from what is needed", "Says how topics differ from what is needed, and what to do."],
  ] as const) {
    command
      .command(name)
      .summary(summary)
      .description(`${description} Exits with ${EXIT.failed} where something must be mended.`)
      .action(async () => {
        const run = invocation();
        const { config } = await run.loadConfig();
        const kafka = kafkaOf(config);
        const { checkTopics, createTopics, declaredTopics } = await import("../../pipelines/kafka/topics.js");
        const { checkRetention } = await import("../../pipelines/kafka/topic-retention.js");
        const { openKafka } = await import("../../pipelines/open/open-kafka.js");
        const log = await openKafka(kafka);
        try {
          const topics = declaredTopics(config, kafka);
          const created = name === "create" ? await createTopics(log, topics) : [];
          const deviations = [
            ...(await checkTopics(log, topics)),
            ...(await checkRetention(log, config.stream, await scoredTo(config), run.terminal.nowMs())),
          ];
          const failed = deviations.filter(({ state }) => state === "fail").length;
          run.exitCode = failed === 0 ? EXIT.ok : EXIT.failed;
          run.result(topicsText(topics, created, deviations), {
            ok: failed === 0,
            created,
            topics: topics.map(({ role, name: topic, partitions }) => ({ role, topic, partitions })),
            deviations,
          });
        } finally {
          await log.close();
        }
      });
  }
};

/** Throws E_CONFIG where no cluster is configured. */
export function kafkaOf(config: Pick<Config, "kafka">): KafkaConfig {
  if (config.kafka !== undefined) return config.kafka;
  throw new SluiceError(
    "E_CONFIG",
    "Expected a Kafka cluster, found none. Name its brokers: `kafka: {brokers: host:9092}` in sluice.yaml, or SLUICE_KAFKA__BROKERS.",
  );
}

async function scoredTo(config: Config): Promise<ReadonlyMap<number, number>> {
  const { furthestArchived } = await import("../../pipelines/flow/furthest-archived.js");
  try {
    const store = await openExistingStore(config);
    try {
      return await furthestArchived(store, config.stream);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return new Map();
    throw error;
  }
}

function topicsText(
  topics: readonly DeclaredTopic[],
  created: readonly string[],
  deviations: readonly Deviation[],
): string {
  const lines = topics.flatMap(({ role, name }) => {
    const own = deviations.filter(({ topic }) => topic === name);
    const made = created.includes(name) ? ", created" : "";
    return own.length === 0
      ? [`ok    ${name} (${role}${made})`]
      : own.map(({ state, message }) => `${state.padEnd(4)}  ${name}: ${message}`);
  });
  const failed = deviations.filter(({ state }) => state === "fail").length;
  const warned = deviations.length - failed;
  const verdict = failed === 0 ? "Nothing to mend" : `${counted(failed, "thing")} to mend`;
  return [...lines, `${verdict}${warned === 0 ? "" : `, ${counted(warned, "warning")}`}.`].join("\n");
}
