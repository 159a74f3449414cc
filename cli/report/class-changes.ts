import type { ClassChanges } from "../../pipelines/teachers/class-changes.js";
import { countText, counted } from "../../schemas/counted.js";

/** Names, windows and ranges that are listed */
const LISTED = 5;

export interface Replaying {
  /** The command that scores what is missing; null: the one that says this does so itself */
  readonly replay: string | null;
  /** The command that makes a version, of a dataset and of a window of it */
  readonly rebuild: (dataset: string, window?: string) => string;
}

/** Which classes a teacher has that the one before lacks, and which records and windows have to be gone through again for them. */
export function classChangesText(changes: ClassChanges, { replay, rebuild }: Replaying): string[] {
  const { before, teacher, added, dropped, unscored, lost, datasets } = changes;
  const records = lengthOf(unscored);
  const gone = lost === null ? 0 : lengthOf(lost);
  const classes = `Teacher ${teacher.name} (${teacher.digest.slice(0, 12)}) has ${counted(added.length, "class", "classes")} that ${before.name} (${before.digest.slice(0, 12)}) has not: ${listed(added)}`;
  const lacks = dropped.length === 0 ? "" : `; it lacks ${countText(dropped.length)}: ${listed(dropped)}`;
  if (records === 0)
    return [`${classes}${lacks}. It has scored all that ${before.name} has. ${versionsText(changes, rebuild)}`.trim()];
  const places = unscored.map(({ partition, start, end }) => `${partition}:[${start}, ${end})`);
  return [
    `${classes}${lacks}.`,
    `${counted(records, "record")} that ${before.name} scored ${records === 1 ? "has" : "have"} no score of ${added.length === 1 ? "it" : "them"} yet: ${listed(places)}.`,
    ...(gone === 0
      ? []
      : [`${countText(gone)} of them ${gone === 1 ? "is" : "are"} no longer in the log, and cannot be scored again.`]),
    ...(gone === records
      ? []
      : [replay === null ? "They are scored again first." : `\`${replay}\` scores them again.`]),
    ...(datasets.length === 0 ? [] : [versionsText(changes, rebuild)]),
  ];
}

function versionsText({ before, datasets }: ClassChanges, rebuild: Replaying["rebuild"]): string {
  return datasets
    .map(({ dataset, versions, windowsMs }) => {
      const count = `${counted(versions, "version")} of ${dataset} ${versions === 1 ? "was" : "were"} made by ${before.name}`;
      const [first] = windowsMs;
      if (first === undefined) return `${count}: \`${rebuild(dataset)}\` makes one with the new classes.`;
      const times = windowsMs.map((timeMs) => new Date(timeMs).toISOString());
      return `${count}, of ${counted(windowsMs.length, "window")} (${listed(times)}): \`${rebuild(dataset, times[0])}\` makes that of the ${windowsMs.length === 1 ? "window" : "first"} anew.`;
    })
    .join(" ");
}

const lengthOf = (ranges: readonly { readonly start: number; readonly end: number }[]): number =>
  ranges.reduce((sum, { start, end }) => sum + end - start, 0);

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return `${names.slice(0, LISTED).join(", ")}${more > 0 ? ` and ${countText(more)} more` : ""}`;
}
