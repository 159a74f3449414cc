import type { FolderHolder } from "../../pipelines/runtime/folder-holder.js";
import type { DatasetStatus, TeacherStatus } from "../../pipelines/status.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openExistingStore } from "../existing-store.js";
import type { StageShares } from "../../schemas/stage-shares.js";
import { stageSharesText } from "../report/stage-shares.js";
import { countText, durationText, plural } from "../wording.js";

export const declare: DeclareCommand = (command, invocation) => {
  command
    .addHelpText(
      "after",
      exampleText([
        ["sluice status", "what is scored, what waits, how full the classes are; also while an ingest runs"],
        ["sluice status --json", "the same for programs"],
      ]),
    )
    .action(async () => {
      const run = invocation();
      const { config } = await run.loadConfig();
      const { status } = await import("../../pipelines/status.js");
      const { holderOf, withConfiguredLog } = await import("../../pipelines/runtime/folder-holder.js");
      const { lastStageShares } = await import("../../pipelines/runtime/stage-record.js");
      const store = await openExistingStore(config);
      try {
        const stages = await lastStageShares(config);
        const holder = await holderOf(config);
        const nowMs = run.terminal.nowMs();
        const teachers =
          (await withConfiguredLog(config, (log) => status(config, store, log, nowMs))) ??
          (await status(config, store, null, nowMs));
        run.result(statusText(config.data, holder, teachers, stages, nowMs), {
          folder: config.data,
          stream: config.stream,
          holder,
          stages,
          teachers,
        });
      } finally {
        await store.close();
      }
    });
};

function statusText(
  folder: string,
  holder: FolderHolder | null,
  teachers: readonly TeacherStatus[],
  stages: StageShares | null,
  nowMs: number,
): string {
  const held =
    holder === null
      ? "nobody writes to it"
      : `pid ${holder.pid} writes to it (${holder.command}, for ${durationText(Math.max(0, nowMs - holder.sinceMs))})`;
  return [
    `${folder}: ${held}`,
    ...(stages === null ? [] : stageSharesText(stages)),
    ...(teachers.length === 0
      ? ["No teacher has scored anything yet: run `sluice ingest`."]
      : teachers.flatMap(teacherLines)),
  ].join("\n");
}

function teacherLines(teacher: TeacherStatus): string[] {
  const archived = teacher.frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
  const codes = Object.entries(teacher.quarantined).sort(([, a], [, b]) => b - a);
  const quarantined = codes.reduce((sum, [, count]) => sum + count, 0);
  return [
    "",
    `Teacher ${teacher.name} (${teacher.digest.slice(0, 12)})`,
    `  archived     ${plural(archived, "record")}${teacher.waiting === null ? "" : `, ${countText(teacher.waiting)} waiting to be scored`}`,
    `  quarantined  ${countText(quarantined)}${codes.length === 0 ? "" : `: ${codes.map(([code, count]) => `${code} ${countText(count)}`).join(", ")}`}`,
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

function datasetLines({ name, fill, starving, newest, trigger }: DatasetStatus): string[] {
  const named = starving.slice(0, NAMED).map(({ label, count }) => `${label} ${countText(count)}`);
  const more = starving.length > NAMED ? `, and ${countText(starving.length - NAMED)} more` : "";
  return [
    `  dataset ${name}: ${countText(fill.full)} of ${plural(fill.classes, "class", "classes")} full, as of the newest checkpoint`,
    ...(starving.length === 0 ? [] : [`    starving   ${named.join(", ")}${more}`]),
    newest === null
      ? "    no version yet"
      : `    newest     version ${newest.number} of ${newest.createdAt}, id ${newest.id.slice(0, 12)}`,
    `    trigger    ${trigger.fired ? "due" : "not yet"}: ${trigger.why}`,
  ];
}
