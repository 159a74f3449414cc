import { SluiceError } from "../../schemas/errors.js";
import { selectedSource } from "../declare-call.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { declareMetricsFlags, metricsSettings, observedWork, type MetricsFlags } from "../metrics-flags.js";
import { positiveNumber } from "../number-argument.js";
import { isTelling, sourceAccountText } from "../report/source-account.js";
import { sourceArgument } from "../source-argument.js";
import { declareSourceFlags, type SourceFlags } from "../source-flags.js";
import { counted } from "../../schemas/counted.js";
import { kafkaOf } from "../topics/kafka-of.js";

interface ProduceFlags extends SourceFlags, MetricsFlags {
  readonly rate?: number;
  readonly refer?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareSourceFlags(command))
    .argument("<source...>", "a folder of pictures, tar shards or a folder of them, or s3://bucket/prefix/")
    .option("--rate <n>", "images a second at most", positiveNumber)
    .option("--refer", "send where images are, never their bytes: scorers read them there")
    .addHelpText(
      "after",
      exampleText([
        ["sluice produce photographs/", "puts every picture below the folder into the images topic"],
        ["sluice produce photographs/", "the same again: what is new; also after it was stopped or killed"],
        ["sluice produce 'shards/train-{000..099}.tar' --rate 500", "takes WebDataset shards, 500 images a second"],
        ["sluice produce s3://crawl/2026/ --refer", "objects of a bucket (on s3.endpoint): scorers read them there"],
      ]),
    )
    .action(async (inputs: string[], flags: ProduceFlags) => {
      const run = invocation();
      const { config } = await run.loadConfig(metricsSettings(flags));
      const kafka = kafkaOf(config);
      const { producedSources } = await import("../../pipelines/open/produced-sources.js");
      const { assertNotEmpty, openingOf } = await import("../../pipelines/open/open-source.js");
      const { produceToKafka } = await import("../../pipelines/kafka/produce-to-kafka.js");
      const paths = inputs.map((input) => sourceArgument(run.terminal.folder, input));

      const observedAs = { run, config, command: "produce", loops: ["produce"] } as const;
      await observedWork(observedAs, async ({ onProgress, stop, note, warn, observing }) => {
        const { refer = false, rate } = flags;
        const known = await producedSources(config);
        const { source: selected, notes, isNew } = selectedSource(known, paths, flags, run.terminal.folder);
        for (const line of notes) note(line);
        if (isNew) await assertNotEmpty(config, paths, openingOf(selected));
        const made = await produceToKafka({
          config,
          kafka,
          paths,
          selected,
          refer,
          perS: rate,
          onProgress,
          observing,
          stop,
        });
        const accounted = sourceAccountText(made.source);
        if (accounted !== null) (isTelling(made.source) ? warn : note)(accounted);
        const object = { topic: config.stream, appended: made.appended, source: made.source };
        const said = `Put ${counted(made.appended, "image")} into ${config.stream}.`;
        if (stop.aborted) {
          throw new SluiceError(
            "E_CANCELLED",
            `Stopped on request. ${said} The same command goes on from there.`,
            object,
          );
        }
        run.result(said, object);
      });
    });
};
