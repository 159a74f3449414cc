import {
  expectationText,
  itemOf,
  propertiesOf,
  takesPlainValue,
  settingsShape,
  type Shape,
} from "../config/settings-shape.js";

interface Row {
  readonly path: string;
  readonly takes: string;
  readonly byDefault: string;
  readonly meaning: string;
}

/** docs/configuration.md: every setting of sluice.yaml, from the schema that checks it. */
export function configurationPage(): string {
  const root = settingsShape();
  const sections = Object.entries(propertiesOf(root)).filter(([, shape]) => shape.type === "object" || shape.items);
  const single = Object.entries(propertiesOf(root)).filter(([, shape]) => shape.type !== "object" && !shape.items);
  return [
    "<!-- Printed from schemas/config.ts by `npm run schema`: change it there. -->",
    "",
    "# Configuration",
    "",
    "Settings come from three places; later ones win:",
    "",
    "1. `sluice.yaml` in the current folder, or the file that `--config` or `SLUICE_CONFIG` names;",
    "2. the environment: `SLUICE_` and the setting's name in capitals, two underscores for each level down, such as",
    "   `SLUICE_TEACHER`, `SLUICE_ENGINE__MAX_DELAY_MS` or `SLUICE_DATASETS__0__SELECT__K`; an empty variable counts as not set,",
    "   and one that resembles no setting is left alone;",
    "3. flags: `--data`, a command's own flags, and for everything else `--set`, such as `--set engine.batch=32` or",
    "   `--set datasets.0.select.k=500`.",
    "",
    "A data folder or bucket remembers what was declared of its stream and datasets: the teacher, `decode`, `bytes`, `retainBytes`,",
    "`maxFutureSkewMs`, `archive.topM`, `archive.logits`, `archive.embedding`, and `datasets`. Every command takes these from there; only `sluice ingest` and `sluice",
    "datasets` change them ([datasets](datasets.md)). A setting that none of the places says stays as it is declared.",
    "",
    "Paths in the file are relative to the file, paths in variables and flags to the current folder. Whatever is wrong is",
    "reported at once, with its line (`sluice.yaml:12:5 datasets[0].select.k: expected a whole number above 0, found 0`), and",
    "nothing is done. `sluice init` writes a first file with comments; editors with a YAML language server check it as you type.",
    "",
    "## General",
    "",
    ...table(single.map(([name, shape]) => rowOf(name, shape))),
    ...sections.flatMap(([name, shape]) => [
      "",
      `## ${shape.items === undefined ? name : `${name}[]`}`,
      "",
      ...(shape.description === undefined ? [] : [`${sentence(shape.description)}.`, ""]),
      ...table(rowsBelow(shape.items ?? shape, "")),
    ]),
    "",
  ].join("\n");
}

function rowsBelow(shape: Shape, prefix: string): Row[] {
  const required = shape.required ?? [];
  return Object.entries(propertiesOf(shape)).flatMap(([name, property]) => {
    const path = `${prefix}${name}`;
    const own = rowOf(path, property, required.includes(name) && prefix === "");
    const item = itemOf(property);
    const below = rowsBelow(item ?? property, item === undefined ? `${path}.` : `${path}[].`);
    return below.length === 0 ? [own] : item !== undefined || takesPlainValue(property) ? [own, ...below] : below;
  });
}

function rowOf(path: string, shape: Shape, required = false): Row {
  return {
    path: `\`${path}\``,
    takes: expectationText(shape),
    byDefault: required ? "required" : shape.default === undefined ? "" : `\`${JSON.stringify(shape.default)}\``,
    meaning: shape.description ?? "",
  };
}

function table(rows: readonly Row[]): string[] {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  return [
    "| setting | takes | default | |",
    "|---|---|---|---|",
    ...rows.map(
      ({ path, takes, byDefault, meaning }) => `| ${[path, takes, byDefault, meaning].map(cell).join(" | ")} |`,
    ),
  ];
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
