import { exampleText, type DeclareCommand } from "../command.js";
import { datasetNamed, openExistingStore } from "../existing-store.js";
import { publishedObject, publishedText } from "../report/published.js";

export const declare: DeclareCommand = (command, invocation) => {
  command
    .argument("[dataset]", "a declared dataset; without one, the first")
    .option(
      "--teacher-digest <digest>",
      "whose scores: the first digits of the teacher's digest, where several have scored",
    )
    .option("--allow-gaps", "leave out what is missing or corrupt in the archive; the version is marked incomplete")
    .addHelpText(
      "after",
      exampleText([
        ["sluice rebuild", "a version from the archived scores; the teacher is not needed"],
        ["sluice rebuild --set datasets[0].select.k=500", "the same scores, with 500 images a class"],
      ]),
    )
    .action(async (name: string | undefined, flags: { teacherDigest?: string; allowGaps?: boolean }) => {
      const run = invocation();
      const { config } = await run.loadConfig();
      const dataset = datasetNamed(config, name);
      const { archivedTeacher, rebuild } = await import("../../pipelines/rebuild.js");
      const { assertFits } = await import("../../pipelines/memory-estimate.js");
      const { publishingParts } = await import("../../pipelines/runtime/open-scoring.js");
      await run.work(async ({ onProgress, stop, note }) => {
        const store = await openExistingStore(config);
        try {
          const { digest, card } = await archivedTeacher(store, flags.teacherDigest);
          assertFits({ ...config, datasets: [dataset] }, card.labels.length);
          const published = await rebuild({
            store,
            dataset,
            stream: config.stream,
            teacher: digest,
            ...publishingParts(config),
            onProgress,
            onWarning: note,
            signal: stop,
            ...(flags.allowGaps === true
              ? {
                  onGap: ({ chain, start, end }): void => {
                    note(`left out: offsets [${start}, ${end}) of ${chain.stream}/${chain.partition}`);
                  },
                }
              : {}),
          });
          run.result(publishedText(published, store.place), publishedObject(published, store.place));
        } finally {
          await store.close();
        }
      });
    });
};
