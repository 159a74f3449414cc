import type { Command } from "commander";
import type { Observing } from "../../pipelines/observe/observing.js";
import type { ReplayOptions } from "../../pipelines/replay.js";
import type { Workspace } from "../../pipelines/open/workspace.js";
import type { Config } from "../../schemas/config.js";
import { EXIT, isSluiceError, SluiceError } from "../../schemas/errors.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared, type OpenedDeclared } from "../declared-config.js";
import { openExistingStore, type OpenedStore } from "../existing-store.js";
import type { Invocation } from "../invocation.js";
import { inOwnFolder } from "../own-folder.js";
import { declareMetricsFlags, metricsSettings, observedWork, type MetricsFlags } from "../metrics-flags.js";
import { positiveNumber, wholeNumber } from "../number-argument.js";
import { boundArgument, offsetArgument, replayAsk, type ReplayRangeFlags } from "../replay-arguments.js";
import { goneText, planObject, planText, replayedObject, replayedText } from "../report/replayed.js";
import { declareScoringFlags, scoringSettings, type ScoringFlags } from "../setting-flags.js";

export interface ReplayFlags extends ScoringFlags, ReplayRangeFlags, MetricsFlags {
  readonly rate?: number;
  /** false by `--no-yield-to-lag` */
  readonly yieldToLag?: number | boolean;
  readonly dryRun?: boolean;
}

/** Records that live scorers may leave lying before a replay waits for them */
const MOST_LAG = 100;
/** How long what is left of a Kafka client may keep the process, ms */
const LINGER_MS = 2000;

export const declare: DeclareCommand = (command, invocation) => {
  declareReplayRange(declareMetricsFlags(declareScoringFlags(command)))
    .description(
      "Scores what the images topic has once more, through another teacher, beside live traffic. What that teacher has scored " +
        "already is left out, and nothing is published: its scores lie apart until `sluice rebuild` makes a version of them. " +
        "Run again, or by several processes, it goes on where it was.",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice replay --teacher b.onnx --from 2026-11-01 --rate 50", "what came since November, 50 images a second"],
        ["sluice replay --teacher b.onnx --dry-run", "how much that would be"],
        ["sluice replay --teacher b.onnx --from-offset 3:1200 --until-offset 3:9000", "a part of partition 3"],
        ["sluice rebuild --teacher-digest 9f2c", "a version of what was replayed"],
        ["sluice quarantine retry --code E_IMAGE_VANISHED", "not a replay: takes quarantined images up again"],
      ]),
    )
    .action((flags: ReplayFlags) => replayThrough(invocation(), flags));
};

/** What is replayed, and how fast. */
export function declareReplayRange(command: Command): Command {
  return command
    .option(
      "--from <place>",
      "start, or when records came into the log: 2026-11-01, or ms (default: start)",
      boundArgument,
    )
    .option("--until <place>", "likewise; or now, which is the log's end (default: now)", boundArgument)
    .option(
      "--from-offset <offset>",
      "in place of --from: 1200, or 3:1200 for partition 3 alone; repeatable",
      offsetArgument,
    )
    .option(
      "--until-offset <offset>",
      "in place of --until, likewise; where partitions are named, only those",
      offsetArgument,
    )
    .option("--rate <n>", "images a second at most, of this process", positiveNumber)
    .option(
      "--yield-to-lag <n>",
      `wait while live scorers have left more records lying; on Kafka, where it is ${MOST_LAG} by default`,
      wholeNumber,
    )
    .option("--no-yield-to-lag", "never wait for live scorers")
    .option("--dry-run", "say what would be scored, and write nothing");
}

/** Scores what the log has through the teacher that `flags` names. */
export async function replayThrough(run: Invocation, flags: ReplayFlags): Promise<void> {
  const ask = replayAsk(flags);
  const opened = await openDeclared(run, [...scoringSettings(flags), ...metricsSettings(flags)], { say: true });
  await opened.store.close();
  // Nothing is published here: where nothing is declared yet, bytes are kept for what sluice.yaml says.
  const told = opened.given.over(opened.declared).config.datasets;
  const datasets = opened.config.datasets.length === 0 ? told : opened.config.datasets;
  const config = { ...opened.config, datasets };
  if (typeof flags.yieldToLag === "number" && config.kafka === undefined) {
    throw new SluiceError(
      "E_USAGE",
      "Expected --yield-to-lag with a Kafka cluster, found the log in the data folder: nobody else scores there meanwhile.",
    );
  }
  if (flags.dryRun === true) await dryRun(run, { ...opened, config }, ask);
  else await replayAll(run, { ...opened, config }, ask, flags);
}

type Called = Omit<OpenedDeclared, "store">;

async function dryRun(
  run: Invocation,
  { config, declared, namesTeacher }: Called,
  ask: ReplayOptions["ask"],
): Promise<void> {
  const { archivedTo, planReplay } = await import("../../pipelines/replay-plan.js");
  const { namedTeacher } = await import("../../pipelines/open/open-scoring.js");
  const { card } = await namedTeacher(config, namesTeacher ? null : declared.settings?.teacher);
  const store = await openExistingStore(config);
  try {
    const archive = { teacher: teacherDigest(card), stream: config.stream };
    const plan = await withLog(config, store, (log) =>
      planReplay({ log, store, ...archive, ask, archivedTo: archivedTo(store), dryRun: true }),
    );
    if (plan === null) {
      throw new SluiceError(
        "E_LOG_IO",
        `Expected a log with topic "${config.stream}", found none that answers. Run \`sluice ingest\` or \`sluice produce\` first.`,
      );
    }
    const by = { name: card.name, digest: archive.teacher };
    const gone = goneText(plan, config.kafka !== undefined);
    if (gone !== null) run.warn(gone);
    run.result(planText(plan, by), planObject(plan, by));
  } finally {
    await store.close();
  }
}

/** Opens the log for reading beside its writer; null where there is none. */
async function withLog<T>(
  config: Config,
  store: OpenedStore,
  look: (log: ReplayOptions["log"]) => Promise<T>,
): Promise<T | null> {
  if (config.kafka === undefined) {
    return (await import("../../pipelines/open/folder-holder.js")).withLog(config, look);
  }
  const { openStreamKafka } = await import("../../pipelines/open/open-kafka.js");
  const log = await openStreamKafka({ stream: config.stream, kafka: config.kafka }, store);
  try {
    return await look(log);
  } finally {
    await log.close();
  }
}

async function replayAll(
  run: Invocation,
  { config, declared, namesTeacher }: Called,
  ask: ReplayOptions["ask"],
  flags: ReplayFlags,
): Promise<void> {
  const { replay } = await import("../../pipelines/replay.js");
  const { yieldToLive } = await import("../../pipelines/kafka/live-lag.js");
  const { openStreamKafka } = await import("../../pipelines/open/open-kafka.js");
  const { namedTeacher, openScoring } = await import("../../pipelines/open/open-scoring.js");
  const observedAs = { run, config, command: "replay", loops: ["score"] } as const;
  await observedWork(observedAs, async ({ onProgress, stop, note, warn, observing }) => {
    let exitCode: number = EXIT.failed;
    const opened: { close(): Promise<void> }[] = [];
    const opening = async <One extends { close(): Promise<void> }>(one: Promise<One>): Promise<One> => {
      const made = await one;
      opened.push(made);
      return made;
    };
    try {
      const workspace = await opening(openReplayFolder(config, observing));
      const kafka =
        config.kafka === undefined
          ? null
          : await opening(
              openStreamKafka({ stream: config.stream, kafka: config.kafka }, workspace.store, observing.onRetry, {
                onSettled: observing.onSettled,
                rights: { roles: ["replayer"], stream: config.stream, kafka: config.kafka },
              }),
            );
      const teacher = await namedTeacher(config, namesTeacher ? null : declared.settings?.teacher);
      const scoring = await opening(
        openScoring(config, note, { teacher, names: { store: workspace.store, renaming: "new" } }),
      );
      for (const assumption of scoring.teacher.assumptions) note(`teacher: ${assumption}`);
      const { nowMs } = run.terminal;
      const most =
        flags.yieldToLag === false ? null : typeof flags.yieldToLag === "number" ? flags.yieldToLag : MOST_LAG;
      const { card } = scoring.teacher;
      const by = { name: card.name, digest: teacherDigest(card) };
      const result = await replay({
        workspace,
        log: kafka ?? workspace.log,
        scoring,
        ask,
        perS: flags.rate,
        yieldTo: kafka === null || most === null ? undefined : yieldToLive(kafka, { config, most, nowMs }),
        onPlan: (plan) => {
          const gone = goneText(plan, kafka !== null);
          if (gone !== null) warn(gone);
          if (plan.goesOn)
            note("going on with a replay that was not finished; what has come since it began is for another run");
        },
        onProgress,
        observer: observing.observer,
        onWarning: warn,
        signal: stop,
        nowMs,
      });
      const object = replayedObject(result, by);
      const rebuild = run.hint("rebuild", "--teacher-digest", by.digest.slice(0, 12));
      if (stop.aborted && result.left > 0) {
        throw new SluiceError(
          "E_CANCELLED",
          `Stopped on request. ${replayedText(result, by, rebuild)} The same command goes on from there.`,
          { ...object },
        );
      }
      run.result(replayedText(result, by, rebuild), object);
      exitCode = run.exitCode;
    } catch (error) {
      if (isSluiceError(error)) exitCode = error.exitCode;
      throw error;
    } finally {
      for (const one of opened.reverse()) await one.close();
      // A group's member that could not be told to leave, since it was joining, goes on trying.
      if (config.kafka !== undefined) {
        setTimeout(() => {
          run.terminal.exit(exitCode);
        }, LINGER_MS).unref();
      }
    }
  });
}

/** Throws E_LOCKED where another process works in the data folder. */
async function openReplayFolder(config: Config, observing: Observing): Promise<Workspace> {
  const { openWorkspace } = await import("../../pipelines/open/workspace.js");
  const opening = openWorkspace(config, "sluice replay", observing);
  return config.kafka === undefined ? opening : inOwnFolder(opening, "replay");
}
