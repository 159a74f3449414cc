import type { Command } from "commander";
import { bucketPlace } from "../../pipelines/open/bucket-place.js";
import { counted } from "../../schemas/counted.js";
import { EXIT, isSluiceError } from "../../schemas/errors.js";
import { exampleText } from "../command.js";
import type { Invocation } from "../invocation.js";
import { metricsSettings, observedWork, type MetricsFlags } from "../metrics-flags.js";
import { isTelling, sourceAccountText } from "../report/source-account.js";
import { collected } from "../setting-flags.js";
import { kafkaOf } from "../topics/kafka-of.js";
import { waitOption } from "../wait-option.js";
import { endsSoon } from "./ends-soon.js";

interface WatchFlags extends MetricsFlags {
  readonly events?: string;
  readonly include?: readonly string[];
  readonly wait: number;
}

export function declareWatch(command: Command, invocation: () => Invocation): void {
  command
    .summary("take what is uploaded, by a bucket's notifications")
    .description(
      "Follows the topic that a bucket's notifications go to (MinIO, Amazon S3), and puts what is uploaded into the images topic, by reference: nothing is listed. " +
        "Goes on until Ctrl-C; killed at any moment, it goes on where it was.",
    )
    .argument("<place...>", "s3://bucket/prefix/: what the notifications tell of other places is passed over")
    .option("--events <topic>", "the topic of the notifications (default: kafka.topics.events)")
    .option(
      "--include <glob>",
      "only keys below the prefix that match, whatever the letters' case; repeatable",
      collected,
    )
    .addOption(waitOption("brokers"))
    .addHelpText(
      "after",
      exampleText([
        ["sluice run watch s3://crawl/2026/", "what is uploaded below 2026/ flows at once"],
        ["sluice run watch s3://crawl/ --events bucket-events --include '**/*.jpg'", "another topic; JPEG alone"],
        ["sluice produce s3://crawl/2026/ --refer", "what was there before: the bucket is listed once"],
      ]),
    )
    .action((inputs: string[], flags: WatchFlags) => watch(invocation(), inputs, flags));
}

async function watch(run: Invocation, inputs: readonly string[], flags: WatchFlags): Promise<void> {
  const places = inputs.map(bucketPlace);
  const events = { flag: "--events", path: ["kafka", "topics", "events"], value: flags.events };
  const { config } = await run.loadConfig([...metricsSettings(flags), events]);
  const kafka = kafkaOf(config);
  const { watchBuckets } = await import("../../pipelines/kafka/watch-buckets.js");
  run.goesOn = true;
  let exitCode: number = EXIT.failed;
  try {
    const observedAs = { run, config, command: "run watch", loops: ["watch"] } as const;
    await observedWork(observedAs, async ({ onProgress, stop, note, warn, observing }) => {
      const { include, wait: openPatienceMs } = flags;
      const asked = { config, kafka, places, include, openPatienceMs, onProgress, onWarning: warn, observing, stop };
      const made = await watchBuckets({ ...asked, nowMs: run.terminal.nowMs });
      const accounted = sourceAccountText(made.source);
      if (accounted !== null) (isTelling(made.source) ? warn : note)(accounted);
      const object = { topic: config.stream, events: kafka.topics.events, ...made };
      run.result(`Put ${counted(made.appended, "image")} into ${config.stream}.`, object);
    });
    exitCode = run.exitCode;
  } catch (error) {
    if (isSluiceError(error)) exitCode = error.exitCode;
    throw error;
  } finally {
    endsSoon(run.terminal, exitCode);
  }
}
