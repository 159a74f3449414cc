import type { FolderHolder } from "../../pipelines/open/folder-holder.js";
import type { StatusSeen } from "../../pipelines/status-seen.js";
import type { DatasetStatus } from "../../pipelines/status.js";
import { countText, counted } from "../../schemas/counted.js";
import type { RunRecord } from "../../schemas/run-record.js";
import { stageAdvice } from "../../schemas/stage-advice.js";
import { controlText } from "../report/flow-control.js";
import { durationText } from "../wording.js";

/** One look at what goes on. */
export interface WatchedStatus extends StatusSeen {
  readonly folder: string;
  readonly stream: string;
  readonly holder: FolderHolder | null;
  /** What the last run in the data folder wrote of itself; null where there is none */
  readonly run: RunRecord | null;
  readonly atMs: number;
  /** Records archived by all teachers, and how many a second of late; null before the second look */
  readonly archived: number;
  readonly perSecond: number | null;
}

/** A run that has written nothing for so long does not run any more, ms */
const SILENT_MS = 30_000;

/** The screen of `sluice status --watch`. */
export function statusFrame(seen: WatchedStatus, columns: number): string[] {
  const { folder, stream, holder, atMs, archived, run } = seen;
  const writes = holder === null ? "nobody writes" : `${holder.command}, pid ${holder.pid}`;
  return [
    `sluice  ${new Date(atMs).toISOString().slice(11, 19)} UTC  q quits  ${folder}  stream ${stream}  ${writes}`,
    ...controlLines(seen),
    "",
    `rate        ${rateText(seen)}`,
    `archived    ${countText(archived)}`,
    `waiting     ${waitingText(seen)}`,
    ...stageLines(run, atMs, columns),
    ...awayLines(seen),
    ...(seen.kafka?.groups ?? []).map(
      ({ group, topic, members, lag }) =>
        `group       ${group} on ${topic}: ${members === 0 ? "nobody" : counted(members, "member")}, ${countText(lag)} behind`,
    ),
    ...seen.teachers.flatMap(({ name, digest, quarantined, datasets }) => [
      "",
      `Teacher ${name} (${digest.slice(0, 12)})  quarantined ${countText(Object.values(quarantined).reduce((sum, count) => sum + count, 0))}`,
      ...datasets.flatMap((dataset) => datasetLines(dataset, columns)),
    ]),
  ];
}

/** The same as one line, where nobody has a screen. */
export function statusLine(seen: WatchedStatus): string {
  const { atMs, archived, run, teachers } = seen;
  const limits = isRunning(run, atMs) ? run.stages.limits : null;
  return [
    new Date(atMs).toISOString(),
    `archived ${countText(archived)}`,
    `rate ${rateText(seen)}`,
    `waiting ${waitingText(seen)}`,
    ...(limits === null ? [] : [`${limits} limits`]),
    ...teachers.flatMap(({ datasets }) =>
      datasets.map(
        ({ name, fill, newest, trigger }) =>
          `${name} ${fill.full}/${fill.classes} full, ${newest === null ? "no version" : `version ${newest.number}`}, ` +
          `${trigger.fired ? "due" : "not due"}: ${trigger.why}`,
      ),
    ),
    ...awayLines(seen),
  ].join("  ");
}

/** Images a second */
function rateText({ perSecond }: WatchedStatus): string {
  if (perSecond === null) return "…/s";
  return `${perSecond < 10 ? perSecond.toFixed(1) : countText(Math.round(perSecond))}/s`;
}

function waitingText({ teachers, perSecond }: WatchedStatus): string {
  const waiting = teachers.flatMap((teacher) => teacher.waiting ?? []);
  if (waiting.length === 0) return "unknown";
  const all = waiting.reduce((sum, one) => sum + one, 0);
  const left =
    perSecond !== null && perSecond > 0 && all > 0 ? `, ${durationText((1000 * all) / perSecond)} at this rate` : "";
  return `${countText(all)}${left}`;
}

function isRunning(run: RunRecord | null, atMs: number): run is RunRecord {
  return run !== null && !run.ended && atMs - run.atMs < SILENT_MS;
}

function stageLines(run: RunRecord | null, atMs: number, columns: number): string[] {
  if (!isRunning(run, atMs)) return ["stages      no run in this data folder just now"];
  const { shares, limits } = run.stages;
  const advice = stageAdvice(run.stages);
  return [
    "",
    ...Object.entries(shares).map(
      ([stage, share]) =>
        `${stage.padEnd(10)}${stage === limits ? "▸" : " "} ${bar(share, Math.min(40, columns - 24))} ${Math.round(share * 100)} %`,
    ),
    ...(advice === null ? [] : [advice]),
  ];
}

function controlLines({ control }: StatusSeen): string[] {
  return control?.want === "pause" || control?.want === "drain" ? [controlText(control)] : [];
}

function awayLines({ storeAway, logDamage, kafka }: StatusSeen): string[] {
  return [
    ...(storeAway === null ? [] : [`store: cannot be read. ${storeAway}`]),
    ...(logDamage === null ? [] : [`log: cannot be read. ${logDamage}`]),
    ...(typeof kafka?.away === "string" ? [`log ${kafka.brokers}: cannot be read. ${kafka.away}`] : []),
  ];
}

/** Starving classes named before the rest is counted */
const NAMED = 5;

function datasetLines({ name, fill, starving, newest, trigger }: DatasetStatus, columns: number): string[] {
  const named = starving.slice(0, NAMED).map(({ label, count }) => `${label} ${countText(count)}`);
  if (starving.length > NAMED) named.push(`and ${countText(starving.length - NAMED)} more`);
  return [
    `  ${name}  ${bar(fill.classes === 0 ? 0 : fill.full / fill.classes, Math.min(40, columns - 44))} ${countText(fill.full)} of ${counted(fill.classes, "class", "classes")} full`,
    ...(named.length === 0 ? [] : [`    starving  ${named.join(", ")}`]),
    `    newest    ${newest === null ? "no version yet" : `version ${newest.number} of ${newest.createdAt}`}`,
    `    trigger   ${trigger.fired ? "due" : "waits"}: ${trigger.why}`,
  ];
}

function bar(share: number, width: number): string {
  const cells = Math.max(4, width);
  const full = Math.round(Math.min(1, Math.max(0, share)) * cells);
  return `${"█".repeat(full)}${"░".repeat(cells - full)}`;
}
