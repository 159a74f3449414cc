import { selectionWords } from "../../operators/select/selection-words.js";
import { datasetCard } from "../../operators/version/dataset-card.js";
import { classTable, tableCell, totalsTable } from "../../operators/version/version-readme.js";
import { counted } from "../../schemas/counted.js";
import type { ExportFormat } from "../../schemas/export-format.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import type { Audited } from "../audit.js";
import { FEATURES } from "./tf-record.js";

/** Rows by what their sources say of the licence; "" where they say nothing. */
export type LicenceCounts = ReadonlyMap<string, number>;

/** Licences that the card lists */
const LISTED = 30;

/** What a card says that no manifest does. */
export interface CardFacts {
  readonly licences: LicenceCounts;
  /** How right people found an audit's sample; null where nobody has judged any of it */
  readonly audit: Pick<Audited, "precision" | "classes"> | null;
}

/** What a person finds beside an export: how the images were chosen, counts, cut-offs, precision, lineage, licences and limits. */
export function exportCard(manifest: Manifest, as: ExportFormat, { licences, audit }: CardFacts): string {
  const { dataset, number, id, select, teacher, classes, provenance, totals } = manifest;
  const shards = manifest.files.filter(({ key }) => key.endsWith(".tar")).length;
  const k = classes.map((one) => one.k);
  const front = as === "hf" ? `${datasetCard(dataset, versionLabels(manifest), shards > 0)}\n` : "";
  const incomplete = provenance.incomplete
    ? ["The archive had a gap or a damaged part when this version was cut: rows may be missing that belong in it."]
    : [];
  const absent =
    totals.bytesAbsent > 0
      ? [
          `Of ${totals.bytesAbsent} of the rows nothing has the image's bytes any more: they count in the ranks, and have no image here.`,
        ]
      : [];
  return `${front}# ${dataset}, version ${number}

${selectionWords(select, k, `"${teacher.name}" (digest \`${teacher.digest.slice(0, 12)}…\`, temperature ${select.temperature ?? teacher.temperature})`)}

${totalsTable(manifest)}

## Files
${FILES[as]}

## Precision
${precisionText(audit)}

## Lineage
- version id: \`${id}\`
- parent: ${provenance.parent === null ? "none" : `version ${provenance.parent.number}, \`${provenance.parent.id}\``}
- teacher: \`${teacher.digest}\`
- stream: \`${provenance.stream}\`, read up to ${provenance.frontier.map(({ partition, end }) => `partition ${partition} offset ${end}`).join(", ")}
- made: ${provenance.createdAt}, by Sluice ${provenance.codeVersion}, because of ${tableCell(provenance.trigger)}
- parameters: \`${JSON.stringify(select)}\`

## Licences
The images keep the licences of their sources. What those say, by rows:

| licence | rows |
|---|---:|
${licenceLines(licences).join("\n")}

## Limits
${[
  "The labels are a teacher's guesses, not the truth: pre-train on them, and fine-tune on labelled images (Yalniz et al. 2019, arXiv 1905.00546).",
  "A class's rows are those that the teacher was surest of: easy images, and what its training data was like, are over-represented.",
  "Nobody has looked at the images. A licence, an origin and a time are what the source said, and were not checked.",
  ...absent,
  ...incomplete,
]
  .map((line) => `- ${line}`)
  .join("\n")}

## Classes
\`worst\` is the cut-off: the probability of the class's last row.

${classTable(classes)}
`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function precisionText(audit: CardFacts["audit"]): string {
  const { precision = null, classes = [] } = audit ?? {};
  if (precision === null) return "Nobody has audited this version: how many of its labels are right is not known.";
  const rows = classes.flatMap(({ class: index, label, precision: one }) =>
    one === null
      ? []
      : [
          `| ${index} | ${tableCell(label)} | ${one.right} of ${one.judged} | ${percent(one.low)} to ${percent(one.high)} |`,
        ],
  );
  return `People judged ${counted(precision.judged, "row")} of a sample that was drawn at random from those that the teacher chose: ${precision.right} are right, ${percent(precision.share)},
between ${percent(precision.low)} and ${percent(precision.high)} (95 %, Wilson's interval).

| class | label | right | 95 % |
|---:|---|---:|---:|
${rows.join("\n")}`;
}

function licenceLines(licences: LicenceCounts): string[] {
  const most = [...licences].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const rest = most.slice(LISTED).reduce((sum, [, rows]) => sum + rows, 0);
  return [
    ...most.slice(0, LISTED).map(([name, rows]) => `| ${name === "" ? "not said" : tableCell(name)} | ${rows} |`),
    ...(rest > 0 ? [`| ${most.length - LISTED} others | ${rest} |`] : []),
  ];
}

const SAMPLE =
  "a sample is `.jpg` (the image as it was found, of whatever format), `.cls` (the class's number) and `.json` (all that is known of it)";

const FILES: Readonly<Record<ExportFormat, string>> = {
  folder: `- \`images/<class>/<rank>-<sha256>.<format>\`: the images as they were found, a folder a class. \`torchvision.datasets.ImageFolder("images")\` reads it; a class without images has no folder.
- \`rows.csv\`: one row per (class, rank), \`file\` says where its image is
- \`classes.csv\`: what each folder's name stands for`,
  hf: `- \`shards/*.tar\`: the images in WebDataset shards; ${SAMPLE}
- \`index/*.parquet\`: one row per (class, rank)
- \`croissant.json\`: the same description for machines

\`\`\`python
import datasets

images = datasets.load_dataset(".", split="train")
index = datasets.load_dataset("index", split="train")
\`\`\``,
  webdataset: `- \`shards/*.tar\`: ${SAMPLE}. Shuffled over classes and ranks
- \`classes.csv\`: what each number stands for

\`\`\`python
import glob, webdataset

shards = sorted(glob.glob("shards/*.tar"))
samples = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(2000).decode("pil").to_tuple("jpg", "cls")
\`\`\``,
  tfrecord: `- \`records/*.tfrecord\`: one \`tf.train.Example\` an image, shuffled over classes and ranks
- \`classes.csv\`: what each number stands for

\`\`\`python
import tensorflow as tf

features = {
${FEATURES.map(({ name, type }) => `    "${name}": tf.io.FixedLenFeature((), tf.${type === "bytes" ? "string" : type}),`).join("\n")}
}
records = tf.data.TFRecordDataset(tf.io.gfile.glob("records/*.tfrecord"))
samples = records.map(lambda record: tf.io.parse_single_example(record, features))
\`\`\`

\`image\` is the file as it was found; \`tf.io.decode_image\` reads JPEG, PNG, GIF and BMP, and \`format\` says which it is.`,
  csv: `- \`rows.csv\`: one row per (class, rank), without the images: \`uri\` says where each was found
- \`classes.csv\`: what each number stands for`,
};
