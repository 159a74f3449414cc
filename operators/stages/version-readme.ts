import type { Span } from "../../schemas/dataset.js";
import { kText, type Manifest } from "../../schemas/manifest.js";
import { selectionWords } from "../pure/selection-words.js";

export type Described = Pick<Manifest, "dataset" | "id" | "select" | "span" | "teacher" | "totals"> & {
  readonly classes: readonly Manifest["classes"][number][];
};

/**
 * What a person finds beside a version's files. Neither number nor time is in it: both belong to the commit, and equal
 * cuts have equal files.
 */
export function versionReadme(version: Described, hasSheets: boolean): string {
  const { dataset, id, select, teacher, totals, classes } = version;
  const k = classes.map((entry) => entry.k);
  const starving = classes.filter((entry) => entry.starving);
  const share = (value: number | null): string => (value === null ? "" : value.toPrecision(4));
  return `# ${dataset}: a training set chosen by a teacher

Version id \`${id}\`.

${selectionWords(select, k, `"${teacher.name}" (digest \`${teacher.digest.slice(0, 12)}…\`, temperature ${select.temperature ?? teacher.temperature})`)}
The labels are the teacher's guesses, not the truth: pre-train on them, then fine-tune on labelled data
(Yalniz et al. 2019, arXiv 1905.00546). The images keep the licences of their sources: column \`licence\`.

| | |
|---|---:|
| event time | ${spanText(version.span)} |
| rows (image, class) | ${totals.rows} |
| distinct images | ${totals.images} |
| rows whose image nothing kept | ${totals.bytesAbsent} |
| records read | ${totals.records.in} |
| of them scored, copied, quarantined, lost | ${totals.records.scored}, ${totals.records.copied}, ${totals.records.quarantined}, ${totals.records.lost} |
| starving classes (fewer than ${kText(k)} rows) | ${starving.length} |

## Files
- \`index/*.parquet\`: one row per (class, image), ordered by class and rank. \`bytes\` says whether the image is in a shard.
- \`shards/*.tar\`: WebDataset shards; a sample is the image, \`.cls\` (class index) and \`.json\`. Shuffled over classes and ranks.
- \`croissant.json\`: the same description for machines (MLCommons Croissant 1.0).${
    hasSheets ? "\n- `sheets/<class>.webp`: best, median and worst images of each class." : ""
  }

## Load it
\`\`\`python
import glob, polars, webdataset

index = polars.read_parquet("index/*.parquet")
shards = sorted(glob.glob("shards/*.tar"))
samples = (webdataset.WebDataset(shards, shardshuffle=len(shards))
           .shuffle(2000).decode("pil")
           .to_tuple("jpg;jpeg;png;webp;gif;bmp;tiff", "cls"))
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
| class | label | rows | best | worst | |
|---:|---|---:|---:|---:|---|
${classes
  .map(
    (entry) =>
      `| ${entry.class} | ${cell(entry.label)} | ${entry.count} | ${share(entry.best)} | ${share(entry.worst)} | ${entry.starving ? "starving" : ""} |`,
  )
  .join("\n")}
`;
}

/** A label is text from outside: it must not end a cell or a line of the table. */
function cell(label: string): string {
  return label.replace(/\s+/g, " ").replaceAll("|", "\\|");
}

function spanText({ startMs, endMs }: Span): string {
  if (startMs === null && endMs === null) return "all";
  const text = (timeMs: number | null): string => (timeMs === null ? "…" : new Date(timeMs).toISOString());
  return `[${text(startMs)}, ${text(endMs)})`;
}
