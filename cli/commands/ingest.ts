import { InvalidArgumentError } from "commander";
import type { Declarations } from "../../pipelines/open/declare.js";
import type { MemoryEstimate } from "../../pipelines/flow/memory-estimate.js";
import type { Config } from "../../schemas/config.js";
import { counted } from "../../schemas/counted.js";
import type { Dataset } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import { allowanceOf, declareAllowanceFlags, type AllowanceFlags } from "../allowance-flags.js";
import { exampleText, type DeclareCommand } from "../command.js";
import {
  declaredAs,
  declaredAt,
  declaredIn,
  settledForChange,
  standingTeacher,
  type LoadedTeacher,
} from "../declared-config.js";
import type { SettledSettings } from "../config/given-settings.js";
import type { OpenedStore } from "../existing-store.js";
import { followTeachers, withTeachers } from "../follow-teachers.js";
import { assertGatewayFollows, openGatewayBeside, type GatewayBeside } from "../gateway-beside.js";
import { mostWaitingOption, TOKEN_VARIABLE } from "../gateway-flags.js";
import { declareCall, selectedSource } from "../declare-call.js";
import type { SettingFlag } from "../invocation.js";
import { openControl } from "../flow-control.js";
import { durationArgument } from "../duration-argument.js";
import { positiveNumber } from "../number-argument.js";
import { otherClasses, otherClassesText } from "../teacher/other-classes.js";
import { planText } from "../report/ingest-plan.js";
import { portArgument } from "../port-argument.js";
import { publishedObject, publishedText } from "../report/published.js";
import { ingestCounts, lateText } from "../report/ingest-counts.js";
import { throwRefused } from "../report/refused.js";
import { isTelling, sourceAccountText } from "../report/source-account.js";
import { stageSharesText } from "../report/stage-shares.js";
import { bytesText, durationText } from "../wording.js";
import { sourceArgument } from "../source-argument.js";
import { declareSourceFlags, type SourceFlags } from "../source-flags.js";
import { declareMetricsFlags, metricsSettings, observedWork, type MetricsFlags } from "../metrics-flags.js";
import { declareScoringFlags, scoringSettings, type ScoringFlags } from "../setting-flags.js";

interface IngestFlags extends ScoringFlags, SourceFlags, AllowanceFlags, MetricsFlags {
  readonly k?: string;
  readonly p?: string;
  readonly publish: boolean;
  readonly follow?: boolean;
  readonly rescan: number;
  readonly plan?: boolean;
  readonly sample: number;
  readonly budget?: number;
  readonly gatewayPort?: number;
  readonly gatewayHost: string;
  readonly gatewayTokenFile?: string;
  readonly mostWaiting: number;
}

/** How often triggers are looked at, ms */
const JUDGE_MS = 1000;

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(declareAllowanceFlags(declareSourceFlags(declareScoringFlags(command))))
    .argument(
      "[source...]",
      "a folder of pictures, tar shards or a folder of them, or s3://bucket/prefix/; without one, what the log has and nobody has scored",
    )
    .option("--k <n>", "images a class, where one dataset is declared (default: 1000, when it is first declared)")
    .option(
      "--p <n>",
      "classes that an image stands for, where one dataset is declared (default: 10, or 1 where there are 10 classes or fewer, when it is first declared)",
    )
    .option("--no-publish", "score and archive only")
    .option("--follow", "go on until stopped: take in what is new, and publish when the datasets' triggers fire")
    .option(
      "--rescan <seconds>",
      "with --follow: look for new pictures this often; a source in which nothing is new, for a tenth of the time at most",
      positiveNumber,
      10,
    )
    .option("--plan", "score a sample, say what all would take, and archive and publish nothing")
    .option("--sample <n>", "with --plan: images that are drawn at random and scored", positiveNumber, 500)
    .option(
      "--budget <duration>",
      "stop in order after 90s, 30m, 2h …; the same command goes on from there",
      budgetArgument,
    )
    .option(
      "--gateway-port <n>",
      "with --follow: take images by HTTP as well, as `sluice gateway`; 0: any that is free",
      portArgument,
    )
    .option("--gateway-host <address>", "the address for that", "127.0.0.1")
    .option("--gateway-token-file <file>", `a file with the senders' token; by default ${TOKEN_VARIABLE}`)
    .addOption(mostWaitingOption())
    .addHelpText(
      "after",
      exampleText([
        [
          "sluice ingest photographs/ --plan --teacher model.onnx",
          "time, engine hours, bytes and fill of each class beforehand",
        ],
        ["sluice ingest photographs/ --budget 2h", "stops after two hours, and exits with 5 where there is more to do"],
        ["sluice ingest photographs/ --teacher model.onnx", "scores every picture below the folder, and publishes"],
        [
          "sluice ingest photographs/",
          "the same again: the teacher and all else is remembered, and only what is new is scored",
        ],
        ["sluice ingest 'shards/train-{000..099}.tar'", "takes WebDataset shards"],
        ["sluice ingest s3://crawl/2026/", "takes the objects below a prefix of a bucket, on s3.endpoint"],
        ["sluice ingest photographs/ --follow", "goes on; versions as `trigger` in sluice.yaml says"],
        ["sluice ingest photographs/ --follow --metrics-port 9464", "the same, with figures for Prometheus"],
        ["sluice ingest --follow --gateway-port 4748", "scores what is sent to http://localhost:4748/images"],
        ["sluice ingest photographs/ --include '**/*.jpg' --k 500", "leaves other files out; 500 images a class"],
      ]),
    )
    .action(async (inputs: string[], flags: IngestFlags) => {
      const run = invocation();
      run.goesOn = flags.follow === true;
      assertGatewayFollows(flags);
      const given = await run.given([
        ...scoringSettings(flags),
        ...selectionSettings(flags),
        ...metricsSettings(flags),
      ]);
      const declared = await declaredAt(given);
      const settled = settledForChange(given, declared);
      assertOneDataset(flags, settled.config.datasets);
      const { declarationWatch, withChosenP } = await import("../../pipelines/open/declare.js");
      const { ingest } = await import("../../pipelines/ingest.js");
      const { estimateMemory } = await import("../../pipelines/flow/memory-estimate.js");
      const { namedTeacher, openScoring } = await import("../../pipelines/open/open-scoring.js");
      const { assertNotEmpty, openingOf, openSource } = await import("../../pipelines/open/open-source.js");
      const { withOwnSource } = await import("../../pipelines/open/source-places.js");
      const { openWorkspace } = await import("../../pipelines/open/workspace.js");
      const paths = inputs.map((input) => sourceArgument(run.terminal.folder, input));

      const observedAs = { run, config: settled.config, command: "ingest", loops: ["score"] } as const;
      await observedWork(observedAs, async ({ onProgress, stop, note, warn, observing }) => {
        const teacherOf = async (
          { config, namesTeacher }: SettledSettings,
          stands: Declarations,
          store?: OpenedStore,
        ): Promise<{ readonly teacher: LoadedTeacher; readonly config: Config }> => {
          // A flag is said now, and declared; a file may be of before a promotion.
          const isFlag = flags.teacher !== undefined && store === undefined;
          if (isFlag) return { teacher: await namedTeacher(config), config };
          return standingTeacher(config, stands, {
            namesTeacher,
            say: note,
            ...(store === undefined ? {} : { store }),
          });
        };
        const first = await teacherOf(settled, declared);
        const config = withChosenP(first.config, settled.openP, first.teacher.card);
        const known = declared.settings?.sources ?? [];
        const selected = paths.length === 0 ? null : selectedSource(known, paths, flags, run.terminal.folder);
        for (const line of selected?.notes ?? []) note(line);
        const mayBeEmpty = flags.follow === true;
        // Of a source that has nothing nothing is recorded: its place may be mistyped.
        if (selected?.isNew === true && !mayBeEmpty) await assertNotEmpty(config, paths, openingOf(selected.source));
        const source =
          selected === null ? null : await openSource(config, paths, { ...openingOf(selected.source), mayBeEmpty });
        if (flags.plan === true) {
          if (selected === null || flags.follow === true || flags.budget !== undefined) throw planAlone();
          const { planIngest } = await import("../../pipelines/ingest-plan.js");
          const looked = await openSource(config, paths, { ...openingOf(selected.source), kept: null });
          const scoring = await openScoring(withOwnSource(config, selected.source), note, {
            teacher: first.teacher,
            // Its rate is that of the long run.
            beforeThreads: 0,
          });
          try {
            const begunMs = process.uptime() * 1000;
            const asked = { ...scoring, config, source: looked, images: flags.sample, seed: 1, begunMs };
            const plan = await planIngest({ ...asked, stop, onProgress });
            run.result(planText(plan, paths.join(", ")), plan);
          } finally {
            await scoring.close();
          }
          return;
        }
        const spent = budgetOf(flags);
        const workspace = await openWorkspace(config, "sluice ingest", observing);
        let gateway: GatewayBeside | null = null;
        /** With one teacher, until it ends or another one stands; then this returns that one with what is declared by then. */
        const ingestBy = async (
          { teacher, config }: Awaited<ReturnType<typeof teacherOf>>,
          declared: Declarations,
        ): Promise<boolean> => {
          const names = { store: workspace.store, renaming: "any" } as const;
          const scoring = await openScoring(withOwnSource(config, selected?.source ?? null), note, { teacher, names });
          try {
            const asked = { config, teacher: await declaredAs(teacher, config), source: selected?.source ?? null };
            const by = { by: "sluice ingest", nowMs: run.terminal.nowMs() };
            const classes = await otherClasses({
              config,
              store: workspace.store,
              before: declared.settings?.teacher ?? null,
              teacher: asked.teacher,
              labels: scoring.teacher.card.labels,
              log: workspace.log,
            });
            const changes = await declareCall(workspace.store, declared, { ...asked, ...by }, { say: note });
            if (classes !== null) {
              const goesOn = { path: config.teacher ?? "", scores: !classes.hasBegun, isDeclared: true };
              for (const line of otherClassesText(run, classes, goesOn)) note(line);
            }
            for (const assumption of scoring.teacher.assumptions) note(`teacher: ${assumption}`);
            note(memoryText(estimateMemory(config, scoring.teacher.card)));
            const control = await openControl(workspace.store, config.stream, { note, warn });
            const { store, log } = workspace;
            const mayPublish = await declarationWatch(store, config.stream);
            const digest = (await declaredAs(teacher, config)).digest;
            const following = { config, store, stands: digest, beside: { workspace, log, onProgress }, note, warn };
            const follow = (signal: AbortSignal): Promise<boolean> =>
              flags.follow === true
                ? followTeachers({ ...following, signal, nowMs: run.terminal.nowMs })
                : Promise.resolve(false);
            const ingesting = (halt: AbortSignal): ReturnType<typeof ingest> =>
              ingest({
                workspace,
                ...scoring,
                ...(source === null ? {} : { source }),
                publish: flags.publish,
                mayPublish,
                allow: allowanceOf(flags),
                ...(flags.follow === true ? { follow: { rescanMs: flags.rescan * 1000, judgeMs: JUDGE_MS } } : {}),
                onPublished: (one) => {
                  if (flags.follow === true) note(publishedText(one, workspace.store.place));
                },
                control,
                stop: halt,
                onProgress,
                observer: observing.observer,
                onWarning: warn,
              }).finally(() => control.close());
            const { result, changed } = await withTeachers(follow, AbortSignal.any([stop, spent]), ingesting);
            const { counts, stopped, engine, frontier, published, refused, leftDue, late, stages } = result;
            if (changed && !stop.aborted && !spent.aborted) {
              note(ingestCounts(counts));
              return true;
            }
            const account = source?.account() ?? null;
            const accounted = account === null ? null : sourceAccountText(account);
            if (account !== null && accounted !== null) (isTelling(account) ? warn : note)(accounted);
            const object = {
              counts,
              source: account,
              engine,
              frontier,
              stages,
              declared: changes,
              classes,
              published: published.map((one) => publishedObject(one, workspace.store.place)),
              refused: refused.map(({ dataset, error }) => ({ dataset, code: error.code, message: error.message })),
              late,
            };
            const isCut = published.length === 0 || leftDue > 0;
            if (stopped && !stop.aborted && isCut && flags.follow !== true) {
              const made = published.map(({ manifest: { dataset, number } }) => `${dataset}/${number}`);
              const told =
                made.length === 0
                  ? "nothing was published"
                  : `of what was due, ${made.join(", ")} ${made.length === 1 ? "was" : "were"} published, and ${counted(leftDue, "more version is", "more versions are")} due`;
              throw new SluiceError(
                "E_BUDGET",
                `Stopped after ${durationText(flags.budget ?? 0)}, as --budget says. ${ingestCounts(counts)} What was scored is archived; ${told}. The same command goes on from there.`,
                { ...object, leftDue },
              );
            }
            if (stop.aborted && flags.follow !== true) {
              throw new SluiceError(
                "E_CANCELLED",
                `Stopped on request. ${ingestCounts(counts)} The same command goes on from there.`,
                object,
              );
            }
            if (flags.follow !== true) throwRefused(refused, counts, object);
            run.result(
              [
                ingestCounts(counts),
                ...late.map(lateText),
                ...published.map((one) => publishedText(one, workspace.store.place)),
                // Of a run that found nothing new they say nothing.
                ...(counts.scored === 0 ? [] : stageSharesText(stages)),
              ].join("\n"),
              object,
            );
            return false;
          } finally {
            await scoring.close();
          }
        };
        try {
          if (flags.gatewayPort !== undefined)
            gateway = await openGatewayBeside({
              run,
              workspace,
              flags,
              port: flags.gatewayPort,
              observing,
              note,
              warn,
              stop,
            });
          let by = { ...first, config };
          let stands = declared;
          while (await ingestBy(by, stands)) {
            stands = await declaredIn(workspace.store, given);
            const again = settledForChange(given, stands);
            by = await teacherOf({ ...again, namesTeacher: false }, stands, workspace.store);
          }
        } finally {
          await gateway?.close();
          await workspace.close();
        }
      });
    });
};

/** Node's timers reach no further than some 24.8 days: a later one would fire at once. */
const MOST_BUDGET_MS = 24 * 86_400_000;

/** For commander. */
function budgetArgument(text: string): number {
  const budgetMs = durationArgument(text);
  if (budgetMs <= MOST_BUDGET_MS) return budgetMs;
  throw new InvalidArgumentError("Expected 24d at most; without --budget nothing ends a run but its source.");
}

/** Aborts when the time that was given is over; never where none was. */
function budgetOf({ budget }: IngestFlags): AbortSignal {
  return budget === undefined ? new AbortController().signal : AbortSignal.timeout(budget);
}

function planAlone(): SluiceError {
  return new SluiceError(
    "E_USAGE",
    "Expected --plan with a source, and without --follow and --budget: it scores a sample of the source, and takes nothing in.",
  );
}

function memoryText({ stateBytes, memoryBytes }: MemoryEstimate): string {
  return `memory: top-K states come to ${bytesText(stateBytes)} when every class is full, of ${bytesText(memoryBytes)}`;
}

function selectionSettings({ k, p }: IngestFlags): SettingFlag[] {
  return [
    { flag: "--k", path: ["datasets", 0, "select", "k"], value: k },
    { flag: "--p", path: ["datasets", 0, "select", "p"], value: p },
  ];
}

function assertOneDataset({ k, p }: IngestFlags, datasets: readonly Dataset[]): void {
  if ((k === undefined && p === undefined) || datasets.length === 1) return;
  const names = datasets.map(({ name }) => name);
  throw new SluiceError(
    "E_USAGE",
    `Expected one declared dataset for --k and --p, found ${names.length} (${names.join(", ")}). \`sluice datasets set ${names[0] ?? "default"} k=…\` is for one of them.`,
  );
}
