import { decodeText } from "../../connectors/decode-text.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { csvRows, LABEL_HEADS, PATH_HEADS, plainHead, withoutHint } from "../training/csv-rows.js";
import type { ImageNamed } from "./named-images.js";
import { parquetRows, type ParquetRowsOptions } from "./parquet-rows.js";

export const LABEL_FILES = ["jsonl", "csv", "parquet", "label-studio", "fiftyone"] as const;
export type LabelFile = (typeof LABEL_FILES)[number];

/** One label of another tool's file, before it is known which image it is of. */
export interface ForeignLabel {
  readonly image: ImageNamed;
  readonly verdict: string;
  readonly class: string | undefined;
  readonly timeMs: number | undefined;
  readonly by: string | undefined;
  /** Where it stands, for messages */
  readonly place: string;
}

export interface ForeignLabels {
  readonly labels: readonly ForeignLabel[];
  /** Rows that say nothing: not labelled yet, skipped or cancelled */
  readonly empty: number;
}

/** What a file is, where nobody says: by its name, and whether its JSON has what a tool writes. */
export function labelFileOf(path: string, bytes: Uint8Array): LabelFile {
  if (/\.(csv|tsv)$/i.test(path)) return "csv";
  if (/\.parquet$/i.test(path) || Buffer.from(bytes.subarray(0, 4)).toString("latin1") === "PAR1") return "parquet";
  if (!/\.json$/i.test(path)) return "jsonl";
  const start = Buffer.from(bytes.subarray(0, 65_536)).toString("utf8");
  if (/"(annotations|annotator|completed_by)"/.test(start)) return "label-studio";
  return /"(samples|_cls|labels)"\s*:/.test(start) ? "fiftyone" : "jsonl";
}

/** Labels of a CSV or Parquet file, or of an export of Label Studio or FiftyOne. Throws E_USAGE, naming the place. */
export async function foreignLabels(
  bytes: Uint8Array,
  as: Exclude<LabelFile, "jsonl">,
  { where, field, ...limits }: { readonly where: string; readonly field?: string | undefined } & ParquetRowsOptions,
): Promise<ForeignLabels> {
  if (as === "parquet") return fromTable(await parquetTable(bytes, where, limits), where, "row");
  const text = textOf(bytes, where);
  if (as === "csv") return fromTable(csvTable(text, where), where, "line");
  const value = jsonOf(text, where);
  return as === "label-studio" ? labelStudio(value, where) : fiftyOne(value, where, field);
}

type Cells = Readonly<Record<string, unknown>>;
interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly { readonly number: number; readonly cells: Cells }[];
}

/** By these columns a table is known to be rows of a version's index */
const INDEX_HEADS = ["class", "label", "rank", "sha256", "key"];
const DIGEST_HEADS = /^(sha_?256|digest)$/;
const TIME_HEADS = /^(time_?ms|time|timestamp|labelled_at|created_at)$/;

function fromTable({ heads, rows }: Table, where: string, unit: string): ForeignLabels {
  const headOf = (pattern: RegExp): string | undefined => {
    const [one, other] = heads.filter((head) => pattern.test(plainHead(head)));
    if (other === undefined) return one;
    throw new SluiceError(
      "E_USAGE",
      `Expected one column for each thing in ${where}, found ${one!} and ${other}. Leave one of them out.`,
      { columns: heads },
    );
  };
  const isIndex = INDEX_HEADS.every((name) => heads.includes(name));
  const [digest, uri, verdict] = [headOf(DIGEST_HEADS), headOf(PATH_HEADS), headOf(/^verdict$/)];
  // An index's \`class\` is a number, and its \`by\` says who chose the row.
  const className = isIndex ? "label" : headOf(LABEL_HEADS);
  const [time, by] = isIndex ? [] : [headOf(TIME_HEADS), headOf(/^(by|annotator|author)$/)];
  if (isIndex && verdict === undefined) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a column verdict (is, not, none, or empty) in ${where}, which has the columns of a version's index, found none: its labels are the teacher's guesses. ` +
        "Add the column, with what people say of the rows.",
      { columns: heads },
    );
  }
  if ((digest === undefined && uri === undefined) || (className === undefined && verdict === undefined)) {
    throw new SluiceError(
      "E_USAGE",
      `Expected the columns sha256 or uri, and class, in ${where} (verdict, timeMs and by where they are known), found ${heads.length === 0 ? "none" : heads.join(", ")}. Rename its columns.`,
      { columns: heads },
    );
  }
  const labels: ForeignLabel[] = [];
  let empty = 0;
  for (const { number, cells } of rows) {
    const text = (head: string | undefined): string => (head === undefined ? "" : cellText(cells[head]));
    const said = verdict === undefined ? "is" : text(verdict).toLowerCase();
    const named = text(className);
    // A row that nobody has filled in yet
    if (said === "" || (named === "" && (said === "is" || said === "not"))) {
      empty++;
      continue;
    }
    labels.push({
      image: text(digest) === "" ? { uri: text(uri) } : { sha256: text(digest).replace(/^sha256:/i, "") },
      verdict: said,
      class: said === "is" || said === "not" ? named : undefined,
      timeMs: text(time) === "" ? undefined : timeOf(text(time)),
      by: text(by) === "" ? undefined : text(by),
      place: `${unit} ${number} of ${where}`,
    });
  }
  return { labels, empty };
}

/** ms since 1970, or a date and time as ISO 8601 has it, in UTC where it says no zone; NaN, which the caller refuses, for anything else. */
function timeOf(text: string): number {
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  return date === null ? Number(text) : Date.parse(`${date[1]!}T${date[2] ?? "00:00"}${date[3] ?? "Z"}`);
}

/** pandas writes NaN where a column of numbers has nothing; a digest may be 32 bytes. */
function cellText(cell: unknown): string {
  if (cell instanceof Date) return cell.toISOString();
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString("hex");
  if (typeof cell === "string") return cell.trim();
  if (Number.isNaN(cell)) return "";
  return typeof cell === "number" || typeof cell === "bigint" ? String(cell) : "";
}

function csvTable(whole: string, where: string): Table {
  const { text, told } = withoutHint(whole);
  const first = /^\s*(.*)/.exec(text)![1]!;
  const separator = told ?? [",", ";", "\t"].toSorted((a, b) => first.split(b).length - first.split(a).length)[0]!;
  const rows = csvRows(text, separator);
  if (rows === null) throw new SluiceError("E_USAGE", `Expected CSV in ${where}, found a quote that is not closed.`);
  const [head, ...body] = rows;
  const heads = head?.cells ?? [];
  const longer = body.find(({ cells }) => cells.slice(heads.length).some((cell) => cell !== ""));
  if (longer !== undefined) {
    throw new SluiceError(
      "E_USAGE",
      `Expected ${heads.length} cells on line ${longer.line} of ${where}, as its head has, found ${longer.cells.length}. Quote a cell that holds a separator.`,
      { line: longer.line },
    );
  }
  return {
    heads,
    rows: body.map(({ line, cells }) => ({
      number: line,
      cells: Object.fromEntries(heads.map((name, at) => [name, cells[at] ?? ""])),
    })),
  };
}

async function parquetTable(bytes: Uint8Array, where: string, options: ParquetRowsOptions): Promise<Table> {
  try {
    const { heads, rows } = await parquetRows(bytes, options);
    return { heads, rows: rows.map((cells, at) => ({ number: at + 1, cells })) };
  } catch (cause) {
    throw new SluiceError("E_USAGE", `Expected a Parquet file at ${where}, found: ${messageOf(cause)}.`, { cause });
  }
}

/** A file's text, without the mark of its encoding. Throws E_USAGE. */
export function textOf(bytes: Uint8Array, where: string): string {
  const text = decodeText(bytes);
  if (text !== null) return text.replace(/^\uFEFF/, "");
  throw new SluiceError("E_USAGE", `Expected text in ${where}, found bytes that are none. Save it as UTF-8.`);
}

function jsonOf(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SluiceError("E_USAGE", `Expected JSON in ${where}, found: ${messageOf(cause)}.`, { cause });
  }
}

type Members = Readonly<Record<string, unknown>>;
const membersOf = (value: unknown): Members => (typeof value === "object" && value !== null ? (value as Members) : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
const textIn = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** Label Studio's JSON and JSON-MIN: of each task the newest annotation that was not cancelled, with one choice. */
function labelStudio(value: unknown, where: string): ForeignLabels {
  if (!Array.isArray(value))
    throw new SluiceError(
      "E_USAGE",
      `Expected a list of tasks in ${where}, as Label Studio exports JSON; found something else.`,
    );
  const labels: ForeignLabel[] = [];
  let empty = 0;
  for (const [at, one] of (value as unknown[]).entries()) {
    const task = membersOf(one);
    const { id } = task;
    const place = `task ${typeof id === "number" ? id : (textIn(id) ?? at + 1)} of ${where}`;
    const image = imageOfTask(task["data"] === undefined ? task : membersOf(task["data"]), place);
    const annotation = task["annotations"] === undefined ? task : lastAnnotation(task);
    const choices = annotation === null ? [] : choicesOf(annotation);
    if (annotation === null || choices.length === 0) {
      empty++;
      continue;
    }
    if (choices.length > 1) {
      throw new SluiceError(
        "E_USAGE",
        `Expected one choice in ${place}, found ${choices.join(", ")}: an image is of one class (is), or not of one (not). Export tasks with one choice each.`,
      );
    }
    const time = saidAt(annotation);
    labels.push({
      image,
      verdict: "is",
      class: choices[0]!,
      timeMs: Number.isNaN(time) ? undefined : time,
      by: authorOf(annotation),
      place,
    });
  }
  return { labels, empty };
}

function imageOfTask(data: Members, place: string): ImageNamed {
  const sha256 = textIn(data["sha256"]);
  if (sha256 !== undefined) return { sha256 };
  const uri =
    textIn(data["uri"]) ?? textIn(data["image"]) ?? textIn(data["img"]) ?? Object.values(data).find(isAddress);
  if (typeof uri === "string") return { uri };
  throw new SluiceError(
    "E_USAGE",
    `Expected the image of ${place} in its data (sha256, uri or image), found ${Object.keys(data).join(", ") || "nothing"}.`,
  );
}

const isAddress = (value: unknown): boolean => typeof value === "string" && /^(\/|[a-z0-9]+:\/\/)/i.test(value);

/** The newest; of those that do not say when, or say the same, the last. */
function lastAnnotation(task: Members): Members | null {
  let last: Members | null = null;
  for (const one of listOf(task["annotations"]).map(membersOf)) {
    if (one["was_cancelled"] !== true && !(last !== null && saidAt(one) < saidAt(last))) last = one;
  }
  return last;
}

/** ms since 1970; NaN where that is not said */
function saidAt(annotation: Members): number {
  return Date.parse(textIn(annotation["updated_at"]) ?? textIn(annotation["created_at"]) ?? "");
}

function authorOf(annotation: Members): string | undefined {
  const author = annotation["completed_by"] ?? annotation["annotator"];
  const { email, id } = membersOf(author);
  const number = cellText(id ?? author);
  return textIn(email) ?? (number === "" ? undefined : `annotator ${number}`);
}

function choicesOf(annotation: Members): string[] {
  const plain = annotation["choice"] ?? annotation["choices"];
  if (plain !== undefined)
    return typeof plain === "string" ? [plain] : listOf(membersOf(plain)["choices"] ?? plain).map(String);
  return listOf(annotation["result"])
    .map(membersOf)
    .filter(({ type }) => type === "choices")
    .flatMap(({ value }) => listOf(membersOf(value)["choices"]).map(String));
}

/** FiftyOne's `FiftyOneDataset` (samples.json) and `FiftyOneImageClassificationDataset` (labels.json). */
function fiftyOne(value: unknown, where: string, field: string | undefined): ForeignLabels {
  const { samples, labels, classes } = membersOf(value);
  if (Array.isArray(samples)) return fiftyOneSamples(samples as unknown[], where, field);
  if (typeof labels !== "object" || labels === null) {
    throw new SluiceError(
      "E_USAGE",
      `Expected samples or labels in ${where}, as FiftyOne's samples.json and labels.json have them; found ${Object.keys(membersOf(value)).join(", ") || "neither"}.`,
    );
  }
  const names = listOf(classes).map(String);
  const found: ForeignLabel[] = [];
  let empty = 0;
  for (const [name, label] of Object.entries(labels)) {
    const said: unknown = membersOf(label)["label"] ?? label;
    const given = typeof said === "number" ? names[said] : textIn(said);
    if (typeof said === "number" && given === undefined) {
      throw new SluiceError(
        "E_USAGE",
        `Expected in labels of ${where} numbers of its ${names.length} classes, found ${said} for "${name}". Export it anew, with its classes.`,
      );
    }
    if (given === undefined) empty++;
    else
      found.push({
        image: { name },
        verdict: "is",
        class: given,
        timeMs: undefined,
        by: undefined,
        place: `"${name}" of ${where}`,
      });
  }
  return { labels: found, empty };
}

function fiftyOneSamples(samples: readonly unknown[], where: string, field: string | undefined): ForeignLabels {
  const isLabel = (value: unknown): boolean => membersOf(value)["_cls"] === "Classification";
  const fields = new Set(
    samples.flatMap((one) => Object.entries(membersOf(one)).flatMap(([name, value]) => (isLabel(value) ? [name] : []))),
  );
  const wanted =
    field ?? (fields.size === 1 ? [...fields][0]! : fields.has("ground_truth") ? "ground_truth" : undefined);
  if (wanted === undefined || (fields.size > 0 && !fields.has(wanted))) {
    throw new SluiceError(
      "E_USAGE",
      `Expected one field of classifications in ${where}, found ${[...fields].join(", ") || "none"}. Name one with --field.`,
    );
  }
  const labels: ForeignLabel[] = [];
  let empty = 0;
  for (const [at, one] of samples.entries()) {
    const sample = membersOf(one);
    const place = `sample ${at + 1} of ${where}`;
    const label = textIn(membersOf(sample[wanted])["label"]);
    if (label === undefined) {
      empty++;
      continue;
    }
    const sha256 = textIn(sample["sha256"]);
    const path = textIn(sample["filepath"]);
    if (sha256 === undefined && path === undefined)
      throw new SluiceError("E_USAGE", `Expected filepath in ${place}, found ${Object.keys(sample).join(", ")}.`);
    labels.push({
      image: sha256 === undefined ? { uri: path! } : { sha256 },
      verdict: "is",
      class: label,
      timeMs: undefined,
      by: undefined,
      place,
    });
  }
  return { labels, empty };
}
