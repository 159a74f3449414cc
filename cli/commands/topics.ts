import type { AdoptedTopic } from "../../pipelines/kafka/adopt-topics.js";
import type { Deviation, DeclaredTopic } from "../../pipelines/kafka/topics.js";
import { EXIT, isSluiceError } from "../../schemas/errors.js";
import type { Config } from "../../schemas/config.js";
import type { Invocation } from "../invocation.js";
import type { Command } from "commander";
import { exampleText, type DeclareCommand } from "../command.js";
import { openExistingStore, type OpenedStore } from "../existing-store.js";
import { declareAcls } from "../topics/acls.js";
import { kafkaOf } from "../topics/kafka-of.js";
import { counted } from "../../schemas/counted.js";

export const declare: DeclareCommand = (command, invocation) => {
  declareAdopt(command, invocation);
  declareAcls(command, invocation);
  command.addHelpText(
    "after",
    exampleText([
      ["sluice topics create", "makes the topics that are not there yet, then checks all of them"],
      ["sluice topics check", "says how topics differ from what Sluice needs, and what to do"],
      ["sluice topics acls --role scorer --principal User:scorer", "what a scorer must be allowed"],
      ["sluice topics adopt --dry-run", "how a stream would go on in topics that were made anew, or moved"],
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
        const { checkAgainstArchive } = await import("../../pipelines/kafka/check-stream.js");
        const { openKafka } = await import("../../pipelines/open/open-kafka.js");
        const log = await openKafka(kafka);
        try {
          const topics = declaredTopics(config, kafka);
          const created = name === "create" ? await createTopics(log, topics) : [];
          const deviations = [
            ...(await checkTopics(log, topics)),
            ...(await withStore(config, (store) =>
              checkAgainstArchive(log, { ...config, kafka }, store, run.terminal.nowMs()),
            )),
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

function declareAdopt(command: Command, invocation: () => Invocation): void {
  command
    .command("adopt")
    .summary("go on with topics that were made anew or moved")
    .description(
      "Goes on with an images or labels topic that is another one than was archived (E_LOG_RECREATED): what is archived stays, and the topic's records follow on it. Where the topic has the last archived record (it was moved), it goes on behind that one; else its first record is the next. Stop the stream's processes before, and start them after.",
    )
    .option("--dry-run", "say it, and record nothing")
    .action(async ({ dryRun = false }: { readonly dryRun?: boolean }) => {
      const run = invocation();
      const { config } = await run.loadConfig();
      const kafka = kafkaOf(config);
      const { adoptTopics } = await import("../../pipelines/kafka/adopt-topics.js");
      const { openKafka } = await import("../../pipelines/open/open-kafka.js");
      const { assertStreamStore } = await import("../../pipelines/kafka/stream-store.js");
      const { stream } = config;
      const store = await openExistingStore(config);
      try {
        const log = await openKafka(kafka);
        try {
          await assertStreamStore({ log, kafka, stream, store });
          const adopted = await adoptTopics({ log, place: { stream, kafka }, store, dryRun });
          run.result(adopted.flatMap((one) => adoptedText(one, dryRun)).join("\n"), { dryRun, adopted });
        } finally {
          await log.close();
        }
      } finally {
        await store.close();
      }
    });
}

async function withStore<T>(config: Config, work: (store: OpenedStore | null) => Promise<T>): Promise<T> {
  let store: OpenedStore;
  try {
    store = await openExistingStore(config);
  } catch (error) {
    if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
    return work(null);
  }
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function adoptedText({ topic, partitions }: AdoptedTopic, dryRun: boolean): string[] {
  if (partitions === null) return [`ok    ${topic}: it is the topic that was archived; nothing to adopt`];
  const does = dryRun ? "would go on" : "goes on";
  return partitions.map(({ partition, base, archivedTo, lastArchived }) => {
    const place = `${topic}/${partition}`;
    return lastArchived === null
      ? `${place}: has nothing of what was archived up to ${archivedTo}; ${does} with its first record as the archive's offset ${base}`
      : `${place}: has the last archived record at offset ${lastArchived}; ${does} behind it as the archive's offset ${archivedTo}`;
  });
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
