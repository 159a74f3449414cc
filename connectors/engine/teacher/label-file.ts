import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { countText, counted } from "../../../schemas/counted.js";
import { messageOf, SluiceError, codeOf } from "../../../schemas/errors.js";
import { decodeText } from "../../decode-text.js";

/** Names of classes as a file gives them. */
export interface LabelFile {
  /** In the order of the outputs */
  readonly labels: readonly string[];
  /** A first line that reads as the head of a column, and so is not among the labels; null where there is none */
  readonly head: string | null;
}

/** Words that stand above a column of names or numbers */
const HEADS =
  /^(labels?|names?|class(es)?|class[ _-]?(names?|labels?|id|index)|categor(y|ies)|display[ _-]?name|index|idx|id|no\.?|#)$/i;
/** WordNet's number before a name, as lists of ImageNet's classes have it */
const SYNSET = /^n\d{8}[ \t,;]+(?=\S)/;

/**
 * Reads a file of labels: one a line; with its number before or behind it (`0: tench`, `0,tench`, `tench 0`, a column of CSV or TSV); or JSON, as a
 * list, by number (`{"0": "tench"}`, Keras' `{"0": ["n01440764", "tench"]}`), by name (`{"tench": 0}`), or below `id2label`, `label2id` or `names`. UTF-8 or UTF-16, with
 * or without a byte order mark. null where there is no such file. Throws E_TEACHER_LABELS, naming the line.
 */
export async function readLabelFile(path: string): Promise<LabelFile | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw refused(path, null, `a file of labels, found: ${messageOf(cause)}`, cause);
  }
  return parseLabels(bytes, path);
}

/** Where a model's labels may stand, the first that is there counts. */
export function labelFilesBeside(folder: string, model: string): string[] {
  const kinds = ["txt", "json", "csv", "tsv"];
  return [`${model}.labels`, "labels"].flatMap((stem) => kinds.map((kind) => join(folder, `${stem}.${kind}`)));
}

/** See `readLabelFile`; `path` is for messages. */
export function parseLabels(bytes: Uint8Array, path: string): LabelFile {
  const text = decodeText(bytes);
  if (text === null) {
    throw refused(
      path,
      null,
      "labels in UTF-8, or in UTF-16 with a byte order mark, found other bytes: save the file as UTF-8",
    );
  }
  return /^\s*[[{]/.test(text) ? { labels: fromJson(text, path), head: null } : fromLines(text, path);
}

/**
 * The labels of a file for a model of so many outputs. Throws E_TEACHER_LABELS with both numbers where they do not fit.
 */
export function labelsFitting({ labels, head }: LabelFile, outputs: number, where: string): readonly string[] {
  if (labels.length === outputs) return labels;
  // A class may be called what heads a column elsewhere.
  if (head !== null && labels.length + 1 === outputs) return [head, ...labels];
  throw wrongNumber(labels, outputs, where);
}

function wrongNumber(labels: readonly string[], outputs: number, where: string): SluiceError {
  const hint =
    labels.length === outputs + 1
      ? `The first of them is "${labels[0]!.slice(0, 60)}": where it stands for the background, which this model has no output for, leave it out.`
      : labels.length === outputs - 1
        ? 'Where the model\'s first output is the background (as of 1001 outputs for ImageNet), put "background" before the others.'
        : "Give the file that belongs to this model.";
  return new SluiceError(
    "E_TEACHER_LABELS",
    `Expected ${counted(outputs, "label")} in ${where}, one for each of the model's outputs, found ${countText(labels.length)}. ${hint}`,
    { path: where, expected: outputs, found: labels.length },
  );
}

interface Line {
  /** From 1 */
  readonly number: number;
  readonly text: string;
}

function fromLines(text: string, path: string): LabelFile {
  const all = text.split(/\r\n|\r|\n/).map((line, at): Line => ({ number: at + 1, text: line.trim() }));
  while (all.at(-1)?.text === "") all.pop();
  if (all.length === 0) throw refused(path, null, "labels, found an empty file");
  const blank = all.find((line) => line.text === "");
  const written = all.filter((line) => line.text !== "");
  const columns = fromColumns(written, path);
  if (columns !== null) return columns;
  if (blank !== undefined) {
    throw refused(
      path,
      blank.number,
      "a label on each line, found an empty one: it would shift the names below it. Remove the line, or name the class (or number all of them, `0: name`)",
    );
  }
  const names = written.map((line) => ({ ...line, text: unquoted(line.text) }));
  const empty = names.find((line) => line.text === "");
  if (empty !== undefined) throw refused(path, empty.number, 'a label, found "" in quotes');
  const [head, ...rest] = names;
  const hasHead = rest.length > 0 && HEADS.test(head!.text);
  const labels = (hasHead ? rest : names).map((line) => line.text);
  const synsets = labels.every((label) => SYNSET.test(label));
  return {
    labels: synsets ? labels.map((label) => label.replace(SYNSET, "")) : labels,
    head: hasHead ? head!.text : null,
  };
}

function unquoted(text: string): string {
  const [, double, single] = /^"((?:[^"]|"")*)"$|^'([^']*)'$/.exec(text) ?? [];
  return (double?.replaceAll('""', '"') ?? single ?? text).trim();
}

/** What may stand between a number and a name, and what each is split by */
const SEPARATORS: readonly RegExp[] = [/\t/, /;/, /,/, /\s*:\s+/, /:/, /\s*=\s*/, /\s+-\s+/, /\s+/];
/** Those that names have in them too ("3 of clubs", "bird 1"): numbers beside them must be all of 0 to L - 1, and the names differ. */
const WEAK = new Set(["\\s*=\\s*", "\\s+-\\s+", "\\s+"]);

/** Lines that have the class's number in one of their columns; null where they are names alone. */
function fromColumns(lines: readonly Line[], path: string): LabelFile | null {
  for (const separator of SEPARATORS) {
    const rows = lines.map((line) => ({ ...line, cells: cellsOf(line.text, separator) }));
    const [first, ...others] = rows;
    for (const headed of [false, true]) {
      const body = headed ? others : rows;
      const isHead =
        first!.cells.every((cell) => HEADS.test(cell) || /^(synset|wnid|mid)/i.test(cell)) ||
        (first!.cells.length === 1 && /^(names|classes|labels):$/i.test(first!.text));
      if (headed && !isHead) continue;
      const numbered = numberedBy(body);
      if (numbered !== null && (!WEAK.has(separator.source) || isPlain(numbered)))
        return { labels: inOrder(numbered, path), head: null };
    }
  }
  return null;
}

interface Numbered {
  readonly line: number;
  readonly index: number;
  readonly name: string;
}

function isPlain(numbered: readonly Numbered[]): boolean {
  const names = new Set(numbered.map(({ name }) => name));
  return names.size === numbered.length && numbered.every(({ index }) => index < numbered.length);
}

/** The lines' numbers and names, where the first or the last cell of each is a number, no number comes twice, and the rest is a name. */
function numberedBy(rows: readonly (Line & { readonly cells: readonly string[] })[]): Numbered[] | null {
  for (const at of [0, -1]) {
    const found = rows.map(({ number, cells }): Numbered | null => {
      const index = cells.at(at) ?? "";
      const names = at === 0 ? cells.slice(1) : cells.slice(0, -1);
      if (cells.length < 2 || !/^\d{1,7}$/.test(index)) return null;
      // Of several columns of names the last is the one for people: WordNet's number comes first.
      const name = names.at(-1)!;
      return { line: number, index: Number(index), name };
    });
    const whole = found.filter((one) => one !== null);
    if (whole.length < rows.length || whole.length < 2) continue;
    if (new Set(whole.map(({ index }) => index)).size === whole.length) return whole;
  }
  return null;
}

function cellsOf(text: string, separator: RegExp): string[] {
  const plain = separator.source;
  if (plain !== "\\t" && plain !== ";" && plain !== ",") {
    // One number before the name or behind it: the name may hold the separator.
    const before = new RegExp(`^(\\d+)${separator.source === "\\s+" ? "\\s+" : `\\s*${plain}\\s*`}(.+)$`).exec(text);
    if (before !== null) return [before[1]!, unquoted(before[2]!.trim())];
    const behind = new RegExp(`^(.+?)${plain === "\\s+" ? "\\s+" : `\\s*${plain}\\s*`}(\\d+)$`).exec(text);
    return behind === null ? [text] : [unquoted(behind[1]!.trim()), behind[2]!];
  }
  const cells: string[] = [];
  const cell = new RegExp(`(?:^|${plain})\\s*(?:"((?:[^"]|"")*)"\\s*(?=${plain}|$)|([^${plain}]*))`, "g");
  for (const [, quoted, bare] of text.matchAll(cell))
    cells.push(quoted?.replaceAll('""', '"').trim() ?? unquoted((bare ?? "").trim()));
  return cells;
}

function inOrder(numbered: readonly Numbered[], path: string): string[] {
  const labels: string[] = [];
  const sorted = [...numbered].sort((a, b) => a.index - b.index);
  for (const [at, { line, index, name }] of sorted.entries()) {
    if (index !== at) {
      const from =
        sorted[0]!.index === 1
          ? "numbers are counted from 1 here, the model's outputs from 0: subtract one"
          : `number ${at} has no line`;
      throw refused(path, line, `numbers from 0 to ${sorted.length - 1}, one a class, found ${index}: ${from}`);
    }
    if (name === "") throw refused(path, line, `a name for class ${index}, found none`);
    labels.push(name);
  }
  return labels;
}

function fromJson(text: string, path: string): string[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refused(path, null, `labels in JSON, found: ${messageOf(cause)}`, cause);
  }
  return namesIn(json, path);
}

/** Names of classes in a value that was JSON. `where` is for messages. Throws E_TEACHER_LABELS. */
export function namesIn(json: unknown, where: string): string[] {
  const expected = 'labels as ["tench", …], {"0": "tench", …} or {"tench": 0, …}';
  if (Array.isArray(json)) return json.map((value, index) => nameIn(value, `element ${index} of ${where}`));
  if (typeof json !== "object" || json === null) throw refused(where, null, `${expected}, found ${typeof json}`);
  const members = Object.entries(json);
  for (const name of ["id2label", "label2id", "names", "class_names", "classes", "labels"]) {
    const own = members.find(([key, value]) => key === name && typeof value === "object" && value !== null);
    if (own !== undefined) return namesIn(own[1], `${name} of ${where}`);
  }
  if (members.length === 0) throw refused(where, null, `${expected}, found none`);
  const byNumber = members.every(([key]) => /^\d{1,7}$/.test(key));
  const byName = members.every(([, value]) => Number.isInteger(value));
  // Digits may be names too: {"7": 0, "3": 1}. Numbers that are in order on both sides say the same either way.
  if (byName && !(byNumber && members.every(([key, value]) => Number(key) === value))) {
    return inOrder(
      members.map(([name, index]) => ({ line: 0, index: index as number, name })),
      where,
    );
  }
  if (byNumber) {
    return inOrder(
      members.map(([key, value]) => ({ line: 0, index: Number(key), name: nameIn(value, `"${key}" in ${where}`) })),
      where,
    );
  }
  const odd = members.find(([key, value]) => !/^\d{1,7}$/.test(key) && !Number.isInteger(value)) ?? members[0]!;
  throw refused(where, null, `${expected}, found ${JSON.stringify(odd[0])}: ${JSON.stringify(odd[1]).slice(0, 60)}`);
}

/** One class's name: itself, or the last string of several (Keras has WordNet's number before it), or a member called name or label. */
function nameIn(value: unknown, where: string): string {
  const found: unknown =
    typeof value === "number"
      ? String(value)
      : Array.isArray(value)
        ? (value as unknown[]).at(-1)
        : typeof value === "object" && value !== null
          ? Object.entries(value).find(([key]) => key === "name" || key === "label")?.[1]
          : value;
  if (typeof found === "string" && found.trim() !== "") return found.trim();
  throw refused(where, null, `a name, found ${JSON.stringify(value).slice(0, 60)}`);
}

function refused(path: string, line: number | null, expected: string, cause?: unknown): SluiceError {
  const place = line === null || line === 0 ? path : `${path}:${line}`;
  return new SluiceError("E_TEACHER_LABELS", `${place}: expected ${expected}.`, { path, line, cause });
}
