import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { decodeText } from "../../connectors/decode-text.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { csvRows, LABEL_HEADS, PATH_HEADS, plainHead, withoutHint, type CsvRow } from "./csv-rows.js";
import { classLookup, type LabelledFolder } from "./labelled-folder.js";

const SEPARATORS = [",", ";", "\t"] as const;

/**
 * Labelled images as a CSV file of `path,label` lines, paths relative to it. A head that names the two columns chooses them among others; without one
 * there are two, or three of which the first only numbers the rows (what pandas writes). Cells may be quoted, and have semicolons or tabs between; paths may be
 * written as Windows has them.
 * Labels that are all numbers, and not the names of classes, are class numbers from 0.
 * Throws E_SOURCE_READ, E_TRAIN_DATA with the line; `examples` throws E_TRAIN_DATA for a class that is not among `labels`.
 */
export async function openLabelledCsv(path: string): Promise<LabelledFolder> {
  const rows = await readRows(path);
  const opener = openUri();
  const classNames = [...new Set(rows.map(({ className }) => className))];
  return {
    folder: path,
    classNames,
    async *examples(labels, maxBytes) {
      const indexOf = classLookup(labels);
      const isNumbered = areClassNumbers(classNames, labels);
      for (const { line, file, className, isFirst } of rows) {
        const hint = isFirst ? " (no head such as path,label)" : "";
        const label = isNumbered ? Number(className) : indexOf(className, `${path}:${line}${hint}`);
        const uri = pathToFileURL(placeOf(dirname(path), file)).href;
        yield { label, uri, bytes: () => opener.open(uri, maxBytes) };
      }
    },
  };
}

/** Whether the labels of a set are numbers of classes: all of them are, and no class is called so. */
function areClassNumbers(classNames: readonly string[], labels: readonly string[]): boolean {
  return classNames.every(
    (name) => /^(0|[1-9]\d{0,8})(\.0)?$/.test(name) && Number(name) < labels.length && !labels.includes(name),
  );
}

/** Where a file lies that a list names: as it is written, else as Windows would write it, or in Unicode's other normal form. */
function placeOf(folder: string, file: string): string {
  const plain = file.replaceAll("\\", "/");
  const forms = [file, plain, plain.normalize("NFC"), plain.normalize("NFD")].map((form) => resolve(folder, form));
  return forms.find((form) => existsSync(form)) ?? forms[0]!;
}

interface LabelledRow {
  readonly line: number;
  readonly file: string;
  readonly className: string;
  /** Of a file without a head */
  readonly isFirst: boolean;
}

async function readRows(path: string): Promise<LabelledRow[]> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected a CSV file of labelled images at ${path}, found: ${messageOf(cause)}.`,
      { cause },
    );
  });
  const decoded = decodeText(bytes);
  if (decoded === null) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected a CSV file in UTF-8, or in UTF-16 with a byte order mark, at ${path}, found other bytes. Save it as UTF-8 ("CSV UTF-8" in Excel).`,
      { path },
    );
  }
  const { text, told } = withoutHint(decoded);
  const readings: Reading[] = [];
  for (const separator of told === undefined ? SEPARATORS : [told]) {
    const reading = readingOf(text, separator, path);
    if (reading !== null) readings.push(reading);
  }
  const headed = readings.filter(({ isHeaded }) => isHeaded);
  const fitting = headed.length > 0 ? headed : readings;
  // A path may hold what separates others: the reading whose first file is there is meant.
  const isThere = ({ rows: [first] }: Reading): boolean =>
    first !== undefined && first.file !== "" && existsSync(placeOf(dirname(path), first.file));
  const reading = fitting.find(isThere) ?? fitting[0];
  if (reading === undefined) throw notLabelled(path, text);
  const broken = reading.rows.find(({ file, className }) => file === "" || className === "");
  if (broken !== undefined) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected "path,label" at ${path}:${broken.line}, found ${JSON.stringify(reading.found(broken.line))}. Give both, and quote a cell that holds a separator.`,
      { path, line: broken.line },
    );
  }
  return reading.rows;
}

interface Reading {
  readonly isHeaded: boolean;
  readonly rows: LabelledRow[];
  found(line: number): string;
}

/** The file as one separator has it; null where its first line does not hold a path and a label then. Cells that a row lacks are "". */
function readingOf(text: string, separator: string, path: string): Reading | null {
  const all = csvRows(text, separator);
  const first = all?.[0];
  if (all === null || first === undefined) return null;
  const found = (line: number): string =>
    (all.find((row) => row.line === line)?.cells.join(separator) ?? "").slice(0, 80);
  const head = headOf(first, path);
  if (head !== null) {
    const rows = all.slice(1).map((row) => labelled(row, head.path, head.label, first.cells.length, false));
    return { isHeaded: true, rows, found };
  }
  const width = first.cells.length;
  const isNumbering = width === 3 && all.every(({ cells }, at) => Number(cells[0]) - Number(first.cells[0]) === at);
  if (width !== 2 && !isNumbering) return null;
  const rows = all.map((row, at) => labelled(row, width - 2, width - 1, width, at === 0));
  return { isHeaded: false, rows, found };
}

function labelled({ line, cells }: CsvRow, path: number, label: number, width: number, isFirst: boolean): LabelledRow {
  const isWhole = cells.length <= width;
  return {
    line,
    file: (isWhole ? cells[path] : undefined) ?? "",
    className: (isWhole ? cells[label] : undefined) ?? "",
    isFirst,
  };
}

function headOf({ line, cells }: CsvRow, path: string): { path: number; label: number } | null {
  const heads = cells.map(plainHead);
  const places = (wanted: RegExp): number[] => heads.flatMap((head, at) => (wanted.test(head) ? [at] : []));
  const paths = places(PATH_HEADS);
  const labels = places(LABEL_HEADS);
  if (paths.length === 0 || labels.length === 0) return null;
  for (const several of [paths, labels]) {
    if (several.length === 1) continue;
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected one column of paths and one of labels at ${path}:${line}, found ${several.map((at) => cells[at]!).join(" and ")}. Leave one of them out.`,
      { path, line },
    );
  }
  return { path: paths[0]!, label: labels[0]! };
}

function notLabelled(path: string, text: string): SluiceError {
  const [first = ""] = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  return new SluiceError(
    "E_TRAIN_DATA",
    `Expected lines of "path,label" in ${path}, with commas, semicolons or tabs between, found ${first === "" ? "no line" : `as the first one ${JSON.stringify(first.slice(0, 80))}`}. ` +
      "Where there are other columns, let the first line name them, the two among them path and label.",
    { path, line: 1 },
  );
}
