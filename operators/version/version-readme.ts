import type { Span } from "../../schemas/dataset.js";
import { kText, type Manifest } from "../../schemas/manifest.js";
import { selectionWords } from "../select/selection-words.js";
import { SHEETS } from "./contact-sheet.js";
import { datasetCard } from "./dataset-card.js";

export type Described = Pick<Manifest, "dataset" | "id" | "select" | "span" | "guard" | "teacher" | "totals"> & {
  readonly classes: readonly Manifest["classes"][number][];
};

/**
 * What a person finds beside a version's files. Neither number nor time is in it: both belong to the commit, and equal
 * cuts have equal files.
 */
export function versionReadme(version: Described, files: { readonly shards: number; readonly sheets: number }): string {
  const { dataset, id, select, teacher, classes } = version;
  const k = classes.map((entry) => entry.k);
  return `${datasetCard(
    dataset,
    classes.map(({ label }) => label),
    files.shards > 0,
  )}
# ${dataset}: a training set chosen by a teacher

Version id \`${id}\`.

${selectionWords(select, k, `"${teacher.name}" (digest \`${teacher.digest.slice(0, 12)}…\`, temperature ${select.temperature ?? teacher.temperature})`)}
The labels are the teacher's guesses, not the truth: pre-train on them, then fine-tune on labelled data
(Yalniz et al. 2019, arXiv 1905.00546). The images keep the licences of their sources: column \`licence\`.

${totalsTable(version)}

## Files
- \`index/*.parquet\`: one row per (class, image), ordered by class and rank. \`bytes\` says whether the image is in a shard.
- \`shards/*.tar\` (${files.shards}): WebDataset shards; a sample is \`.jpg\` (the image as it was found: of any format, which loaders tell from its bytes; \`format\` in the \`.json\` says which), \`.cls\` (class index) and \`.json\`. Shuffled over classes and ranks.
- \`croissant.json\`: the same description for machines (MLCommons Croissant 1.1).${
    files.sheets > 0
      ? `\n- \`${SHEETS}/<class>.webp\`: best, median and worst images of each class, with rank and the first digits of the SHA-256. Loaders pass over them.`
      : ""
  }

## Load it
${files.shards > 0 ? imagesInPython(files.shards) : ""}\`\`\`python
import polars

index = polars.read_parquet("index/*.parquet")
\`\`\`

\`\`\`sql
SELECT label, count(*), min(probability) FROM 'index/*.parquet' GROUP BY label;  -- DuckDB
\`\`\`

\`\`\`sh
npx sluice versions list          # which version this is
npx sluice versions verify latest # whether the files are whole
npx sluice train                  # pre-train and fine-tune a student on it
\`\`\`

## Classes
${classTable(classes)}
`;
}

/** Nothing where people placed nothing. */
function labelledRows({ classes }: Described): string {
  const rows = classes.reduce((all, one) => all + (one.labelled ?? 0), 0);
  return rows === 0 ? "" : `| rows that stand where a person said that the image is of the class | ${rows} |\n`;
}

/** Nothing where nothing is left out: such a README stays as it was. */
function leftOutRows({ classes, guard }: Described): string {
  const sum = (name: "near" | "guarded"): number => classes.reduce((all, one) => all + (one[name] ?? 0), 0);
  const near =
    sum("near") === 0 ? "" : `| near duplicates of better images, left out (\`left-out.jsonl\`) | ${sum("near")} |\n`;
  if (guard === undefined) return near;
  const sets = guard.sets.map(({ name, images }) => `${name} (${images})`).join(", ");
  return `${near}| images like those of ${sets}, kept out | ${sum("guarded")} |\n`;
}

/** What a version counts, as a table. */
export function totalsTable(version: Described): string {
  const { classes, span, totals } = version;
  const { in: read, scored, copied, quarantined, lost } = totals.records;
  return `| | |
|---|---:|
| event time | ${spanText(span)} |
| rows (image, class) | ${totals.rows} |
| distinct images | ${totals.images} |
| rows whose image nothing kept | ${totals.bytesAbsent} |
| records read | ${read} |
| of them scored, copied, quarantined, lost | ${scored}, ${copied}, ${quarantined}, ${lost} |
${labelledRows(version)}${leftOutRows(version)}| starving classes (fewer rows than ${kText(classes.map(({ k }) => k))}) | ${classes.filter(({ starving }) => starving).length} |`;
}

/** Each class with its count, its best row's probability, and the cut-off. */
export function classTable(classes: Described["classes"]): string {
  const share = (value: number | null): string => (value === null ? "" : value.toPrecision(4));
  const rows = classes.map(
    (entry) =>
      `| ${entry.class} | ${tableCell(entry.label)} | ${entry.count} | ${share(entry.best)} | ${share(entry.worst)} | ${entry.starving ? "starving" : ""} |`,
  );
  return ["| class | label | rows | best | worst | |", "|---:|---|---:|---:|---:|---|", ...rows].join("\n");
}

function imagesInPython(shards: number): string {
  return `In this folder, with Hugging Face's \`datasets\`:

\`\`\`python
import datasets

images = datasets.load_dataset(".", split="train")  # jpg, cls, json
index = datasets.load_dataset("index", split="train")
\`\`\`

With \`webdataset\` and PyTorch, whose workers read whole shards: at most ${shards} of them.

\`\`\`python
import glob, webdataset

shards = sorted(glob.glob("shards/*.tar"))
samples = (webdataset.WebDataset(shards, shardshuffle=len(shards))
           .shuffle(2000).decode("pil").to_tuple("jpg", "cls"))
\`\`\`

`;
}

/** A label is text from outside: it must not end a cell or a line of the table. */
export function tableCell(label: string): string {
  return label.replace(/\s+/g, " ").replaceAll("|", "\\|");
}

function spanText({ startMs, endMs }: Span): string {
  if (startMs === null && endMs === null) return "all";
  const text = (timeMs: number | null): string => (timeMs === null ? "…" : new Date(timeMs).toISOString());
  return `[${text(startMs)}, ${text(endMs)})`;
}
