import { Option, type Command } from "commander";
import type { Observing } from "../../pipelines/observe/observing.js";
import type { WaitForStore } from "../../pipelines/open/open-bucket.js";
import type { Workspace } from "../../pipelines/open/workspace.js";
import type { Config } from "../../schemas/config.js";
import { EXIT, isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import type { KafkaRole } from "../../schemas/kafka-rights.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { LOOPS } from "../../schemas/observed.js";
import { allowanceOf, declareAllowanceFlags, type AllowanceFlags } from "../allowance-flags.js";
import { exampleText, type DeclareCommand } from "../command.js";
import type { GivenSettings, Location } from "../config/given-settings.js";
import { declareCall } from "../declare-call.js";
import {
  assertDeclaredTeacher,
  declaredIn,
  declaredAs,
  noteOtherTeacher,
  settledForRun,
  standingTeacher,
  type LoadedTeacher,
} from "../declared-config.js";
import { openControl } from "../flow-control.js";
import { durationArgument } from "../duration-argument.js";
import type { OpenedStore } from "../existing-store.js";
import type { Invocation, WorkContext } from "../invocation.js";
import { inOwnFolder } from "../own-folder.js";
import { declareMetricsFlags, metricsSettings, observed, type MetricsFlags } from "../metrics-flags.js";
import { endsSoon } from "../run/ends-soon.js";
import { compactPart, publishPart, scorePart, topkPart, type Part } from "../run/parts.js";
import { declareWatch } from "../run/watch.js";
import { followTeachers } from "../follow-teachers.js";
import { declareScoringFlags, scoringSettings, type ScoringFlags } from "../setting-flags.js";
import { kafkaOf } from "../topics/kafka-of.js";
import { waitOption } from "../wait-option.js";

interface RunFlags extends ScoringFlags, AllowanceFlags, MetricsFlags {
  readonly teacherDigest?: string;
  readonly oneMachine?: true;
  readonly wait: number;
  readonly judgeEvery: number;
  readonly compactEvery: number;
  readonly checkpointEvery: number;
  readonly olderThan: number;
}

/** Which of the processes run in this one. */
interface WantedParts {
  readonly score?: true;
  readonly topk?: true;
  readonly publish?: true;
  readonly compact?: true;
}

const MINUTE_MS = 60_000;

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice run all --teacher model.onnx", "everything in one process"],
      ["sluice run score --teacher model.onnx --data scorer-1", "a scorer; each has a data folder of its own"],
      ["sluice run score --teacher model.onnx --data scorer-2", "one more: they share the partitions"],
      ["sluice run topk --teacher model.onnx", "keeps the best of each class; several share the classes"],
      ["sluice run publish --teacher model.onnx", "makes the versions that are due"],
      ["sluice run all --teacher model.onnx --metrics-port 9464", "with figures for Prometheus, and health"],
      ["sluice run compact", "writes archived scores into larger files as they come"],
      ["sluice run watch s3://crawl/2026/", "takes what is uploaded there, by the bucket's notifications"],
    ]),
  );
  const one = (name: string, summary: string, description: string): Command =>
    declareMetricsFlags(
      command
        .command(name)
        .summary(summary)
        .description(`${description} Goes on until Ctrl-C; killed at any moment, it goes on where it was.`)
        .addOption(waitOption("brokers and a store"))
        .option("--one-machine", "the store may lie in the data folder: all processes run here, with this one"),
    );

  const score = one(
    "score",
    "score what is in the images topic",
    "Scores and archives what is in the images topic, and tells the candidates topic. Run as many as you like, each with a data folder of its own: they share the partitions.",
  );
  declareScoringFlags(score).action((flags: RunFlags) => runParts(invocation(), flags, { score: true }));

  const topk = one(
    "topk",
    "keep the best images of each class",
    "Follows the candidates topic, keeps the top-K states in checkpoints, and tells scorers below what nothing is needed any more. Run as many as there are class shards (kafka.shards): they share them.",
  );
  checkpointing(archivedTeacherOptions(topk)).action((flags: RunFlags) =>
    runParts(invocation(), flags, { topk: true }),
  );

  const publish = one(
    "publish",
    "publish the versions that are due",
    "Follows the archive, and publishes when the datasets' triggers fire; takes in what the labels topic says. Of several, one works and the others stand by.",
  );
  judging(archivedTeacherOptions(publish)).action((flags: RunFlags) =>
    runParts(invocation(), flags, { publish: true }),
  );

  const compact = one(
    "compact",
    "write archived scores into larger files",
    "Writes archived scores into larger Parquet files, as `sluice compact`, again and again.",
  );
  compacting(compact).action((flags: RunFlags) => runParts(invocation(), flags, { compact: true }));

  declareWatch(declareMetricsFlags(command.command("watch")), invocation);

  const all = one(
    "all",
    "all of these in one process",
    "Scores, keeps the best, publishes and compacts in one process.",
  );
  compacting(judging(checkpointing(declareScoringFlags(all)))).action((flags: RunFlags) =>
    runParts(invocation(), flags, { score: true, topk: true, publish: true, compact: true }),
  );
};

const archivedTeacherOptions = (command: Command): Command =>
  command
    .option("-t, --teacher <path>", "the classifier: a model file, a model card, or a folder with one")
    .option("--teacher-digest <digest>", "of a teacher that has scored: the first digits of its digest");

const checkpointing = (command: Command): Command =>
  command.addOption(every("--checkpoint-every", "a checkpoint after this long, if something came", 10_000, "10s"));

const judging = (command: Command): Command =>
  declareAllowanceFlags(command).addOption(
    every("--judge-every", "look at the archive and the triggers this often", 1000, "1s"),
  );

const compacting = (command: Command): Command =>
  command
    .addOption(every("--compact-every", "between two compactions", 10 * MINUTE_MS, "10m"))
    .addOption(
      every("--older-than", "take all that is older than this, also what fills no run", 0, "what fills a run"),
    );

const every = (flag: string, description: string, byDefault: number, text: string): Option =>
  new Option(`${flag} <duration>`, description).argParser(durationArgument).default(byDefault, text);

async function runParts(run: Invocation, flags: RunFlags, parts: WantedParts): Promise<void> {
  const oneMachine = {
    flag: "--one-machine",
    path: ["kafka", "oneMachine"],
    value: flags.oneMachine === true ? "true" : undefined,
  };
  const given = await run.given([...scoringSettings(flags), ...metricsSettings(flags), oneMachine]);
  assertSharedStore(given.location, kafkaOf(given.location));
  run.goesOn = true;
  await run.work(async (context) => {
    let exitCode: number = EXIT.failed;
    const opened: { close(): Promise<void> }[] = [];
    try {
      const loops = LOOPS.filter((loop) => loop in parts);
      const command = `run ${loops.length > 1 ? "all" : loops.join(" ")}`;
      await observed({ run, config: given.location, command, loops }, context, async (observing, inner) => {
        // Begun anew with the teacher that has taken the place of the one before.
        while (await runAll(run, { given, flags, parts, opened, observing }, inner)) {
          for (const one of opened.splice(0).reverse()) await one.close();
        }
      });
      exitCode = run.exitCode;
    } catch (error) {
      if (isSluiceError(error)) exitCode = error.exitCode;
      throw error;
    } finally {
      for (const one of opened.reverse()) await one.close();
      endsSoon(run.terminal, exitCode);
    }
  });
}

/** By the names under which `sluice topics acls` says what to allow */
function rolesOf({ score, topk, publish, compact }: WantedParts): KafkaRole[] {
  if (score && topk && publish && compact) return ["all"];
  return [
    ...(score ? (["scorer"] as const) : []),
    ...(topk ? (["topk"] as const) : []),
    ...(publish ? (["publisher"] as const) : []),
    ...(compact ? (["compactor"] as const) : []),
  ];
}

/** Throws E_CONFIG where other machines would not see the store, and nobody has said that there are none. */
function assertSharedStore({ s3, data }: Location, { oneMachine }: KafkaConfig): void {
  if (s3 !== undefined || oneMachine) return;
  throw new SluiceError(
    "E_CONFIG",
    `Expected a store that all processes of the stream see (s3: in sluice.yaml, or SLUICE_S3__…), found none: it would lie in the data folder ${data}, and what another machine ` +
      "archives would lie apart. Set s3:, or say --one-machine (`kafka: {oneMachine: true}`) where all processes run on this machine and share this data folder.",
  );
}

interface Running {
  readonly given: GivenSettings;
  readonly flags: RunFlags;
  readonly parts: WantedParts;
  readonly opened: { close(): Promise<void> }[];
  readonly observing: Observing;
}

/** Runs until it is told to stop, or one of its parts fails; says what was done. Returns whether another teacher stands now. */
async function runAll(
  run: Invocation,
  running: Running,
  { stop, onProgress, note, warn }: WorkContext,
): Promise<boolean> {
  const { given, flags, parts: wanted, opened, observing } = running;
  const { Together } = await import("../../pipelines/flow/together.js");
  const { openStreamKafka } = await import("../../pipelines/open/open-kafka.js");
  const { openStore } = await import("../../pipelines/open/workspace.js");
  const { openScoring } = await import("../../pipelines/open/open-scoring.js");
  const opening = async <One extends { close(): Promise<void> }>(one: Promise<One>): Promise<One> => {
    const made = await one;
    opened.push(made);
    return made;
  };
  const { onRetry, onSettled, ofStore } = observing;
  const storeWait = { openPatienceMs: flags.wait, ...ofStore };
  const store = observing.metered(await opening(openStore(given.location, storeWait)));
  const declaredRun = await declaredForRun(run, { given, store, flags, parts: wanted });
  const { config, card: ranking, teacher, follows } = declaredRun;
  const kafka = kafkaOf(config);
  const { teacherDigest } = await import("../../schemas/model-card.js");
  const { stream } = config;
  const group = ranking === null ? undefined : teacherDigest(ranking);
  const rights = { roles: rolesOf(wanted), stream, kafka, teacher: group };
  const waiting = { openPatienceMs: flags.wait, onSettled, rights };
  const log = await opening(openStreamKafka({ stream, kafka }, store, onRetry, waiting));
  const workspace =
    wanted.score === undefined ? null : await opening(openScorersFolder(config, wanted, observing, storeWait));
  const scoring =
    workspace === null || teacher === null
      ? null
      : await opening(openScoring(config, note, { keepsStates: false, teacher, names: { store, renaming: "new" } }));
  const card = flags.teacherDigest === undefined ? (scoring?.teacher.card ?? ranking) : ranking;
  for (const assumption of scoring?.teacher.assumptions ?? []) note(`teacher: ${assumption}`);

  const drainedEnd = new AbortController();
  const changedEnd = new AbortController();
  const all = new Together(AbortSignal.any([stop, drainedEnd.signal, changedEnd.signal]));
  const { observer } = observing;
  const { nowMs } = run.terminal;
  const context = { config, kafka, log, store, note, observer, onWarning: warn, signal: all.signal, nowMs };
  const parts: Part[] = [];
  /** What is begun must be ended, also where the next part cannot begin. */
  const begin = async (part: Promise<Part>): Promise<void> => {
    const begun = await part;
    parts.push(begun);
    void all.begin(begun.work);
  };
  try {
    if (workspace !== null && scoring !== null) {
      const control = await opening(openControl(store, config.stream, { note, warn }));
      await begin(scorePart(context, { workspace, scoring, control, onProgress }));
      const { drained } = await import("../../pipelines/kafka/drained.js");
      const teacherOf = { teacher: teacherDigest(scoring.teacher.card), stream };
      const ended = drained({ log, store, ...teacherOf, drain: control.drain, signal: all.signal });
      void all.begin(
        ended.then((isDrained) => {
          if (isDrained) drainedEnd.abort();
        }),
      );
    }
    if (wanted.topk !== undefined && card !== null)
      await begin(topkPart(context, { card, checkpointMs: flags.checkpointEvery }));
    if (wanted.publish !== undefined && card !== null)
      await begin(publishPart(context, { card, judgeMs: flags.judgeEvery, allow: allowanceOf(flags) }));
    if (follows !== null) {
      const beside = workspace === null ? null : { workspace, log, onProgress };
      const following = followTeachers({
        config,
        store,
        stands: follows,
        beside,
        note,
        warn,
        signal: all.signal,
        nowMs,
      });
      void all.begin(
        following.then((changed) => {
          if (changed) changedEnd.abort();
        }),
      );
    }
    if (wanted.compact !== undefined)
      await begin(compactPart(context, { everyMs: flags.compactEvery, olderThanMs: flags.olderThan }));
  } catch (error) {
    all.fail(error);
  }
  await all.ended();
  const lines = parts.flatMap((part) => part.text() ?? []);
  if (changedEnd.signal.aborted && !stop.aborted) {
    for (const line of lines) note(line);
    return true;
  }
  run.result(
    lines.length === 0 ? "Stopped." : lines.join("\n"),
    Object.assign({}, ...parts.map((part) => part.object())) as object,
  );
  return false;
}

interface DeclaredRun {
  readonly config: Config;
  readonly card: ModelCard | null;
  readonly teacher: LoadedTeacher | null;
  /** Digest of the declared teacher, where this process works by it; null: it stays with the one that it was given */
  readonly follows: string | null;
}

/**
 * What these processes work by: what is declared, or where nothing is yet, what they are told, which is declared first. `teacher`
 * for one that scores, `card` for one that ranks. Throws E_DATASET_CONFLICT where sluice.yaml or the environment differs.
 */
async function declaredForRun(
  run: Invocation,
  { given, store, flags, parts }: Pick<Running, "given" | "flags" | "parts"> & { readonly store: OpenedStore },
): Promise<DeclaredRun> {
  const { withChosenP } = await import("../../pipelines/open/declare.js");
  const { publishersCard } = await import("../../pipelines/kafka/run-publish.js");
  const { namedTeacher } = await import("../../pipelines/open/open-scoring.js");
  const { teacherDigest } = await import("../../schemas/model-card.js");
  const declared = await declaredIn(store, given);
  const settled = await settledForRun(run, given, declared);
  const { openP } = settled;
  if (parts.score === undefined && parts.topk === undefined && parts.publish === undefined) {
    return { config: settled.config, card: null, teacher: null, follows: null };
  }
  const note = (line: string): void => {
    run.note(line);
  };
  const standing = settled.namesTeacher
    ? await standingTeacher(settled.config, declared, { namesTeacher: true, store, say: note })
    : null;
  const config = standing?.config ?? settled.config;
  const named = standing?.isNamed === true ? standing.teacher : null;
  const known = named === null ? (declared.settings?.teacher ?? null) : null;
  if (named !== null) {
    noteOtherTeacher(run, declared, await declaredAs(named, config));
    // A teacher that a flag names holds for this call; one of the file or the environment must be the declared one.
    if (flags.teacher === undefined) assertDeclaredTeacher(given, declared, await declaredAs(named, config));
  }
  const teacher = parts.score === undefined ? null : (named ?? (await namedTeacher(config, known, store)));
  const own = flags.teacherDigest === undefined ? teacher : null;
  const card = own?.card ?? (await publishersCard(config, store, flags.teacherDigest, known));
  const chosen = withChosenP(config, openP, card);
  const digest = teacherDigest(card);
  if (declared.settings !== null) {
    // One that a flag has named for this call stays with it.
    const follows = declared.settings.teacher?.digest === digest ? digest : null;
    return { config: chosen, card, teacher, follows };
  }
  const told = config.teacher === undefined ? null : await declaredAs({ card }, config);
  const asked = { config: chosen, teacher: told, by: "sluice run", nowMs: run.terminal.nowMs() };
  await declareCall(store, declared, asked, { say: note });
  return { config: chosen, card, teacher, follows: told === null ? null : digest };
}

/** A scorer's data folder. Throws E_LOCKED where another one has it. */
async function openScorersFolder(
  config: Config,
  { publish }: WantedParts,
  observing: Observing,
  storeWait: Pick<WaitForStore, "openPatienceMs">,
): Promise<Workspace> {
  const { openWorkspace } = await import("../../pipelines/open/workspace.js");
  const command = publish === undefined ? "sluice run score" : "sluice run all";
  return inOwnFolder(openWorkspace(config, command, observing, storeWait), "scorer");
}
