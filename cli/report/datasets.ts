import type { Declarations, DeclaredDataset, DroppedDataset } from "../../pipelines/open/declare.js";
import type { Json } from "../../schemas/canonical.js";
import { datasetMembers, settingText } from "../../schemas/declaration-changes.js";
import type { StreamSettings } from "../../schemas/declaration.js";
import { counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";

/** The newest version of a dataset, and how many there are. */
export interface DatasetVersions {
  readonly count: number;
  readonly newest: number | null;
}

export type VersionsOf = ReadonlyMap<string, DatasetVersions>;

export function listText({ stream, settings, datasets }: Declarations, versions: VersionsOf): string {
  const declared = new Set(datasets.map(({ name }) => name));
  const rest = [...versions.keys()].filter((name) => !declared.has(name));
  return [
    ...(datasets.length === 0
      ? [`No dataset is declared over stream ${stream}.`]
      : [
          tableText(
            ["dataset", "K", "P", "window", "trigger", "revision", "versions"],
            datasets.map(({ name, dataset, revision }) => [
              name,
              settingText(dataset.select.k),
              dataset.select.p,
              dataset.window.kind,
              dataset.trigger === undefined ? "window end" : settingText(dataset.trigger),
              revision,
              versions.get(name)?.count ?? 0,
            ]),
          ),
        ]),
    ...rest.map((name) => `${name} is not declared over it, and has ${counted(versions.get(name)!.count, "version")}`),
    `stream ${stream}: ${settings === null ? "nothing is declared of it" : streamText(settings)}`,
  ].join("\n");
}

export function listObject({ stream, settings, revision, datasets }: Declarations, versions: VersionsOf): object {
  const declared = new Set(datasets.map(({ name }) => name));
  return {
    stream: { name: stream, revision, settings },
    datasets: datasets.map(({ name, dataset, revision: own, at, by }) => ({
      name,
      revision: own,
      declaredAt: at,
      by,
      dataset,
      versions: versions.get(name) ?? { count: 0, newest: null },
    })),
    undeclared: [...versions].filter(([name]) => !declared.has(name)).map(([name, own]) => ({ name, versions: own })),
  };
}

/** What is declared of a dataset, setting by setting, and how it came to be. */
export function showText(
  { name, dataset, stream }: DeclaredDataset,
  revisions: readonly (DeclaredDataset | DroppedDataset)[],
): string {
  return [
    `Dataset ${name} over stream ${stream}`,
    tableText(
      ["setting", "declared"],
      [...datasetMembers(dataset)].map(([setting, value]) => [setting, settingText(value)]),
    ),
    "",
    tableText(
      ["revision", "declared at", "by", ""],
      revisions.map(({ revision, at, by, dataset: then }) => [revision, at, by, then === null ? "dropped" : ""]),
    ),
  ].join("\n");
}

export function streamText({ teacher, bytes, retainBytes, archive, decode, sources }: StreamSettings): string {
  const places = sources.map(({ places: of, include, followLinks, linksWithin }) => {
    const taken = [
      ...(include.length === 0 ? [] : [`only ${include.join(", ")}`]),
      ...(followLinks ? [`links followed${linksWithin === undefined ? "" : ` within ${linksWithin}`}`] : []),
    ];
    return `\n  source ${of.join(", ")}${taken.length === 0 ? "" : `: ${taken.join("; ")}`}`;
  });
  return [
    teacher === null ? "no teacher" : `teacher ${teacher.name} (${teacher.digest.slice(0, 12)}) at ${teacher.path}`,
    `\n  bytes ${bytes}${bytes === "keep" ? `, of ${retainBytes}` : ""}`,
    `\n  archive ${membersText(archive)}`,
    `\n  decode ${membersText(decode)}`,
    ...places,
  ].join("");
}

const membersText = (members: object): string =>
  Object.entries(members as Record<string, Json>)
    .map(([name, value]) => `${name} ${settingText(value)}`)
    .join(", ");
