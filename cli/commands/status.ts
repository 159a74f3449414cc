import { Option } from "commander";
import type { KeptParts } from "../../pipelines/console/kept-bytes.js";
import type { KafkaStatus } from "../../pipelines/kafka/kafka-status.js";
import type { FolderHolder } from "../../pipelines/open/folder-holder.js";
import type { DatasetStatus, HeldRecords, TeacherStatus } from "../../pipelines/status.js";
import type { StatusSeen } from "../../pipelines/status-seen.js";
import type { Config } from "../../schemas/config.js";
import { EXIT, isSluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { durationArgument } from "../duration-argument.js";
import { openExistingStore } from "../existing-store.js";
import type { Invocation } from "../invocation.js";
import { declareMetricsFlags, longLook, metricsSettings, type MetricsFlags } from "../metrics-flags.js";
import type { StageShares } from "../../schemas/stage-shares.js";
import type { StandingControl } from "../../schemas/flow-control.js";
import { driftLine } from "../report/drift.js";
import { controlText } from "../report/flow-control.js";
import { offsetLines } from "../report/offsets.js";
import { stageSharesText } from "../report/stage-shares.js";
import { countText, counted } from "../../schemas/counted.js";
import { bytesText, durationText } from "../wording.js";

interface StatusFlags extends MetricsFlags {
  readonly storage?: boolean;
  readonly watch?: true;
  readonly interval: number;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .option("--watch", "the whole screen, again and again, until q; without a terminal a line each time")
    .addOption(
      new Option("--interval <duration>", "with --watch: look this often")
        .argParser(durationArgument)
        .default(2000, "2s"),
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice status", "what is scored, what waits, how full the classes are; also while an ingest runs"],
        ["sluice status --storage", "what the store takes, too"],
        ["sluice status --watch", "rates, lag, what limits, how full the classes are, what triggers wait for; q quits"],
        ["sluice status --watch --interval 10s >> status.log", "a line every ten seconds"],
        ["sluice status --json", "the same for programs; exits with 1 where the log or the store cannot be read"],
      ]),
    )
    .option("--storage", "what the store takes, too: it is listed whole for that")
    .action(async (flags: StatusFlags) => {
      const run = invocation();
      const { config } = await statusSettings(run, flags);
      if (flags.watch === true) {
        await longLook(run, config, () => watch(run, config, flags.interval));
        return;
      }
      const { holderOf } = await import("../../pipelines/open/folder-holder.js");
      const { lastStageShares } = await import("../../pipelines/flow/stage-record.js");
      const seen = { holder: await orDamaged(holderOf(config)), stages: await lastStageShares(config) };
      const nowMs = run.terminal.nowMs();
      const found = await look(config, nowMs);
      if (found.storeAway !== null || found.logDamage !== null || typeof found.kafka?.away === "string")
        run.exitCode = EXIT.failed;
      const storage = flags.storage === true ? await storageOf(config) : null;
      run.result([statusText(config.data, { ...seen, ...found }, nowMs), ...storageLines(storage)].join("\n"), {
        folder: config.data,
        stream: config.stream,
        ...seen,
        ...found,
        ...(storage === null ? {} : { storage }),
      });
    });
};

async function storageOf(config: Config): Promise<KeptParts | null> {
  const { keptParts } = await import("../../pipelines/console/kept-bytes.js");
  return withStore(config, async (store) => (store === null ? null : keptParts(store)));
}

function storageLines(parts: KeptParts | null): string[] {
  if (parts === null) return [];
  const { scores, packs, versions, other, all } = parts;
  return [
    "",
    `Store: ${bytesText(all.sizeBytes)} in ${counted(all.objects, "object")}: scores ${bytesText(scores.sizeBytes)}, image bytes ${bytesText(packs.sizeBytes)}, versions ${bytesText(versions.sizeBytes)}, the rest ${bytesText(other.sizeBytes)}`,
  ];
}

async function watch(run: Invocation, config: Config, intervalMs: number): Promise<void> {
  const { holderOf } = await import("../../pipelines/open/folder-holder.js");
  const { lastRun } = await import("../../pipelines/flow/stage-record.js");
  const { watchStatus } = await import("../watch/watch-status.js");
  await watchStatus({
    run,
    intervalMs,
    look: async () => {
      const atMs = run.terminal.nowMs();
      const found = await look(config, atMs);
      const archived = found.teachers.flatMap(({ frontier }) => frontier.map(({ origin, end }) => end - origin));
      return {
        folder: config.data,
        stream: config.stream,
        holder: await orDamaged(holderOf(config)),
        run: await lastRun(config),
        atMs,
        archived: archived.reduce((sum, one) => sum + one, 0),
        ...found,
      };
    },
  });
}

/** Of a damaged log nobody can say who writes to it; `look` says what is wrong with it. */
async function orDamaged(holder: Promise<FolderHolder | null>): Promise<FolderHolder | null> {
  try {
    return await holder;
  } catch (error) {
    if (isSluiceError(error, "E_LOG_CORRUPT")) return null;
    throw error;
  }
}

/** Of a store that does not answer nothing is known of what is declared. */
async function statusSettings(run: Invocation, flags: MetricsFlags): Promise<{ readonly config: Config }> {
  try {
    const { config, store } = await openDeclared(run, metricsSettings(flags), { say: true });
    await store.close();
    return { config };
  } catch (error) {
    if (!isSluiceError(error, "E_STORE_IO")) throw error;
    return run.loadConfig(metricsSettings(flags));
  }
}

async function look(config: Config, nowMs: number): Promise<StatusSeen> {
  const { statusSeen } = await import("../../pipelines/status-seen.js");
  return withStore(config, (store, storeAway) => statusSeen(config, store, storeAway, nowMs));
}

type Store = Awaited<ReturnType<typeof openExistingStore>>;

/** `store` is null where it does not answer. */
async function withStore<T>(
  config: Config,
  work: (store: Store | null, away: string | null) => Promise<T>,
): Promise<T> {
  let store: Store;
  try {
    store = await openExistingStore(config);
  } catch (error) {
    if (config.s3 === undefined || !isSluiceError(error, "E_STORE_IO")) throw error;
    return work(null, error.message);
  }
  try {
    return await work(store, null);
  } finally {
    await store.close();
  }
}

interface Seen extends StatusSeen {
  readonly holder: FolderHolder | null;
  readonly stages: StageShares | null;
}

function statusText(
  folder: string,
  { holder, stages, teachers, storeAway, kafka, log, logDamage, control }: Seen,
  nowMs: number,
): string {
  const held =
    holder === null
      ? "nobody writes to it"
      : `pid ${holder.pid} writes to it (${holder.command}, for ${durationText(Math.max(0, nowMs - holder.sinceMs))})`;
  return [
    `${folder}: ${held}`,
    ...(control === null || control.want === "run" ? [] : [controlLine(control)]),
    ...(stages === null ? [] : stageSharesText(stages)),
    ...(kafka === null ? [] : kafkaLines(kafka)),
    ...(log === null ? [] : logLines(log)),
    ...(logDamage === null ? [] : [`log: cannot be read. ${logDamage}`]),
    ...(storeAway === null ? [] : [`store: cannot be read. ${storeAway}`]),
    ...(storeAway === null && teachers.length === 0
      ? ["No teacher has scored anything yet: run `sluice ingest`."]
      : teachers.flatMap(teacherLines)),
  ].join("\n");
}

function controlLine(control: StandingControl): string {
  return control.want === "pause" ? `${controlText(control)} \`sluice resume\` goes on.` : controlText(control);
}

/** What the log has, and what of it was cut. */
function logLines(log: readonly HeldRecords[]): string[] {
  const sum = (of: (one: HeldRecords) => number): number => log.reduce((total, one) => total + of(one), 0);
  const records = sum(({ start, end }) => end - start);
  const since = log.flatMap(({ sinceMs }) => sinceMs ?? []);
  const spared = sum((one) => one.spared);
  const cut = sum(({ start }) => start);
  const held =
    since.length === 0
      ? "log: no records"
      : `log: ${counted(records, "record")}, ${bytesText(sum(({ sizeBytes }) => sizeBytes))}, since ${new Date(Math.min(...since)).toISOString()}`;
  return [
    cut === 0
      ? held
      : `${held}; ${counted(cut, "offset")} before that ${cut === 1 ? "is" : "are"} cut` +
        (spared === 0 ? "" : `, but for ${countText(spared)} that a retry may need`),
  ];
}

function kafkaLines({ brokers, away, groups, retention }: KafkaStatus): string[] {
  if (away !== null) return [`log ${brokers}: cannot be read. ${away}`];
  const rows = groups.map(({ group, topic, members, lag }) => [
    `  ${group}`,
    topic,
    members === 0 ? "nobody" : counted(members, "member"),
    `${countText(lag)} behind`,
  ]);
  return [
    `log ${brokers}`,
    ...(rows.length === 0 ? ["  no group has read anything yet"] : rows.map((row) => row.join("  "))),
    ...retention.map(({ state, message }) => `  ${state}  ${message}`),
  ];
}

function teacherLines(teacher: TeacherStatus): string[] {
  const { records, emptyOffsets, unreadOffsets } = teacher;
  const codes = Object.entries(teacher.quarantined).sort(([, a], [, b]) => b - a);
  const quarantined = codes.reduce((sum, [, count]) => sum + count, 0);
  return [
    "",
    `Teacher ${teacher.name} (${teacher.digest.slice(0, 12)})`,
    `  archived     ${counted(records.in, "record")}${records.lost === 0 ? "" : `, ${countText(records.lost)} of them lost`}${teacher.waiting === null ? "" : `, ${countText(teacher.waiting)} waiting to be scored`}`,
    ...offsetLines({ emptyOffsets, unreadOffsets }),
    ...teacher.lost.map(
      ({ partition, start, end, records, reason, author }) =>
        `  lost         ${counted(records, "record")} at [${start}, ${end}) of partition ${partition}, declared by ${author}: ${reason}`,
    ),
    codes.length === 0
      ? "  quarantined  0"
      : `  quarantined  ${countText(quarantined)} at most: ${codes.map(([code, count]) => `${code} ${countText(count)}`).join(", ")} ` +
        "(`sluice quarantine list` leaves out what came again in its place and was used)",
    ...enginesOf(teacher).map((engine) => `  engine       ${engine}`),
    ...teacher.datasets.flatMap(datasetLines),
  ];
}

/** What ran the teacher, each once. */
function enginesOf({ datasets }: TeacherStatus): string[] {
  const texts = datasets.flatMap(({ engines }) =>
    engines.map(
      ({ name, version, backend, device, batch, batchInvariant }) =>
        `${name} ${version} on ${backend} (${device}), ${batchInvariant === "padded" ? "padded to batches of" : "batch"} ${batch}`,
    ),
  );
  return [...new Set(texts)];
}

/** Past this many, starving classes are counted. */
const NAMED = 8;

function datasetLines({
  name,
  fill,
  isCheckpointed,
  starving,
  newest,
  damaged,
  trigger,
  late,
  drift,
}: DatasetStatus): string[] {
  const named = starving.slice(0, NAMED).map(({ label, count }) => `${label} ${countText(count)}`);
  const more = starving.length > NAMED ? `, and ${countText(starving.length - NAMED)} more` : "";
  return [
    isCheckpointed
      ? `  dataset ${name}: ${countText(fill.full)} of ${counted(fill.classes, "class", "classes")} full, as of the newest checkpoint`
      : `  dataset ${name}: how full its classes are is not known, since nothing has written a checkpoint of these parameters yet`,
    ...(starving.length === 0 || !isCheckpointed ? [] : [`    starving   ${named.join(", ")}${more}`]),
    newest === null
      ? "    no version yet"
      : `    newest     version ${newest.number} of ${newest.createdAt}, id ${newest.id.slice(0, 12)}`,
    ...damaged.map((message) => `    damaged    ${message}`),
    ...driftLines(drift),
    ...(late === null || late.images === 0
      ? []
      : [
          `    late       ${counted(late.images, "image")} came too late for version ${late.version}: \`sluice versions late ${name}/${late.version}\` lists them`,
        ]),
    `    trigger    ${trigger.fired ? "due" : "not yet"}: ${trigger.why}`,
  ];
}

function driftLines(drift: DatasetStatus["drift"]): string[] {
  return drift === null ? [] : [`    drift      ${driftLine(drift, drift.beyond)}`];
}
