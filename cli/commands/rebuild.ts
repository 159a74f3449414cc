import { randomUUID } from "node:crypto";
import type { Observing } from "../../pipelines/observe/observing.js";
import type { RebuildOptions } from "../../pipelines/rebuild.js";
import { SluiceError } from "../../schemas/errors.js";
import { allowanceOf, declareAllowanceFlags, type AllowanceFlags } from "../allowance-flags.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import type { WorkContext } from "../invocation.js";
import { datasetNamed } from "../existing-store.js";
import { declareMetricsFlags, metricsSettings, observed, type MetricsFlags } from "../metrics-flags.js";
import { publishedObject, publishedText } from "../report/published.js";
import { gapText } from "../report/gap.js";
import { timeArgument } from "../time-argument.js";
import { versionNamed } from "../version-name.js";

interface Flags extends AllowanceFlags, MetricsFlags {
  readonly teacherDigest?: string;
  readonly allowGaps?: boolean;
  readonly at?: string;
  readonly until?: number;
  readonly window?: number;
  readonly ended?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareAllowanceFlags(command))
    .description(
      "Makes a version of a declared dataset from the archived scores alone: nothing is scored, and the teacher is not needed. Of a windowed dataset, the newest window as far as it has come. --set holds for this call alone.",
    )
    .argument("[dataset]", "a declared dataset; without one, the first")
    .option(
      "--teacher-digest <digest>",
      "whose scores: the first digits of the teacher's digest, where several have scored",
    )
    .option("--at <version>", "only what that version was made from: its frontier (latest, 3 or dataset/3)")
    .option(
      "--until <time>",
      "only images before this event time (2026-11-01, or ms since the epoch); of a windowed dataset, the newest window that had ended by then",
      timeArgument,
    )
    .option("--window <start>", "the window that starts then", timeArgument)
    .option("--allow-gaps", "leave out what is missing or corrupt in the archive; the version is marked incomplete")
    .option("--ended", "of a windowed dataset, the newest window that has ended; of others no other than without it")
    .addHelpText(
      "after",
      exampleText([
        ["sluice rebuild", "a version from the archived scores; the teacher is not needed"],
        ["sluice rebuild --set datasets.0.select.k=500", "the same scores, with 500 images a class"],
        ["sluice rebuild --at 12 --set datasets.0.select.p=5", "what version 12 would have been with P = 5"],
        ["sluice rebuild --until 2026-11-01", "only images from before November"],
        ["sluice rebuild daily --ended", "the newest window that has ended: for `schedules` in sluice.yaml"],
      ]),
    )
    .action(async (name: string | undefined, flags: Flags) => {
      refuseTogether(flags);
      const run = invocation();
      const { nowMs } = run.terminal;
      const { archivedTeacher, rebuild } = await import("../../pipelines/rebuild.js");
      const { tellVersions } = await import("../../pipelines/kafka/tell-versions.js");
      const { readManifest } = await import("../../pipelines/versions/versions.js");
      const { assertFits } = await import("../../pipelines/flow/memory-estimate.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      await run.work(async (context) => {
        const opened = await openDeclared(run, metricsSettings(flags), { say: true });
        const { config, declared } = opened;
        const rebuildAll = async (observing: Observing, { onProgress, stop, warn }: WorkContext): Promise<void> => {
          const store = observing.metered(opened.store);
          observing.observer?.take({ event: "loop.ready", loop: "rebuild" });
          const dataset = datasetNamed(config, name);
          const { digest, card } = await archivedTeacher(store, flags.teacherDigest, declared.settings?.teacher);
          assertFits({ ...config, datasets: [dataset] }, card);
          const at = flags.at === undefined ? undefined : await versionNamed(store, config, flags.at);
          const gaps = new Set<string>();
          const options: RebuildOptions = {
            store,
            dataset,
            stream: config.stream,
            teacher: digest,
            ...publishingParts(config),
            allow: allowanceOf(flags),
            ...(at === undefined ? {} : { at: await readManifest(store, at.dataset, at.version, "all") }),
            ...(flags.until === undefined ? {} : { untilMs: flags.until }),
            ...(flags.ended === true && dataset.window.kind !== "global" ? { untilMs: nowMs() } : {}),
            ...(flags.window === undefined ? {} : { windowMs: flags.window }),
            ...(flags.allowGaps === true
              ? {
                  onGap: (gap): void => {
                    // Met twice: on the way to the chain's end, and by the cut.
                    const text = gapText(gap);
                    if (!gaps.has(text)) warn(text, "E_CHAIN_GAP");
                    gaps.add(text);
                  },
                }
              : {}),
            onProgress,
            observer: observing.observer,
            onWarning: warn,
            signal: stop,
            nowMs,
            newId: randomUUID,
          };
          const published = await rebuild(options);
          run.result(publishedText(published, store.place), publishedObject(published, store.place));
          await tellVersions(config, store, { onWarning: warn });
        };
        try {
          await observed({ run, config, command: "rebuild", loops: ["rebuild"] }, context, rebuildAll);
        } finally {
          await opened.store.close();
        }
      });
    });
};

function refuseTogether({ until, window, ended }: Flags): void {
  const refuse = (first: string, second: string): never => {
    throw new SluiceError("E_USAGE", `Expected ${first} or ${second}, found both. See \`sluice rebuild --help\`.`);
  };
  if (until !== undefined && window !== undefined) refuse("--until", "--window");
  if (ended !== true) return;
  if (until !== undefined) refuse("--ended", "--until");
  if (window !== undefined) refuse("--ended", "--window");
}
