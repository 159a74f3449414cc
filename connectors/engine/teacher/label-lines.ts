import type { LabelFile } from "./label-file.js";
import { inOrder, refusedLabels, type Numbered } from "./refused-labels.js";

/** Words that stand above a column of names or numbers */
const HEADS =
  /^(labels?|names?|class(es)?|class[ _-]?(names?|labels?|id|index)|categor(y|ies)|display[ _-]?name|index|idx|id|no\.?|#)$/i;
/** WordNet's number before a name, as lists of ImageNet's classes have it */
const SYNSET = /^n\d{8}[ \t,;]+(?=\S)/;
const NAME_HEAD =
  /^(labels?|names?|class(es)?|class[ _-]?(names?|labels?)|label[ _-]?names?|categor(y|ies)|display[ _-]?name|species)$/i;
const INDEX_HEAD = /^(index|idx|id|no\.?|#|(class|label)[ _-]?(id|index|idx|number|no)|target)$/i;
/** A line that says something about the file */
const COMMENT = /^(# |\/\/ )/;
const MARKED = /^(?:class|label|id|item)?\s*[[(#]?(\d{1,7})\s*(?:[\])]\s*[:=-]?|[.:]|->|=>|=)\s*(\S.*)$/i;

interface Line {
  /** From 1 */
  readonly number: number;
  readonly text: string;
}

/**
 * Labels one a line; with their numbers before or behind them (`0: tench`, `0,tench`, `[0] tench`, `tench 0`); a column of CSV or TSV by its head; or
 * all on one line, with commas, semicolons or tabs between. Throws E_TEACHER_LABELS, naming the line.
 */
export function labelsInLines(text: string, path: string): LabelFile {
  const all = text
    .split(/\r\n|\r|\n/)
    .map((line, at): Line => ({ number: at + 1, text: shown(line) }))
    .filter((line) => !COMMENT.test(line.text));
  while (all.at(-1)?.text === "") all.pop();
  if (all.length === 0) throw refusedLabels(path, null, "labels, found an empty file");
  const blank = all.find((line) => line.text === "");
  const written = withoutListCommas(all.filter((line) => line.text !== ""));
  const columns = fromHeadedColumns(written, path) ?? fromMarks(written, path) ?? fromColumns(written, path);
  if (columns !== null) return columns;
  if (written.length === 1) return { labels: onOneLine(written[0]!.text), head: null };
  if (blank !== undefined) {
    throw refusedLabels(
      path,
      blank.number,
      "a label on each line, found an empty one: it would shift the names below it. Remove the line, or name the class (or number all of them, `0: name`)",
    );
  }
  const names = written.map((line) => ({ ...line, text: unquoted(line.text) }));
  const empty = names.find((line) => line.text === "");
  if (empty !== undefined) throw refusedLabels(path, empty.number, 'a label, found "" in quotes');
  const [head, ...rest] = names;
  const hasHead = rest.length > 0 && HEADS.test(head!.text);
  const labels = (hasHead ? rest : names).map((line) => line.text);
  const synsets = labels.every((label) => SYNSET.test(label));
  return {
    labels: synsets ? labels.map((label) => label.replace(SYNSET, "")) : labels,
    head: hasHead ? head!.text : null,
  };
}

/** The elements of a list that was copied without its brackets: each in quotes, with a comma behind all but the last. */
function withoutListCommas(lines: readonly Line[]): readonly Line[] {
  const isList = lines.every(
    ({ text }, at) => (/^"[^"]*",$|^'[^']*',$/.test(text) && lines.length > 1) || (at > 0 && at === lines.length - 1),
  );
  return isList ? lines.map((line) => ({ ...line, text: line.text.replace(/,$/, "") })) : lines;
}

/** A line without what cannot be seen at its ends. */
function shown(line: string): string {
  return line.replace(/^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$/g, "");
}

function onOneLine(text: string): string[] {
  for (const separator of [/\t/, /;/, /,/]) {
    const cells = cellsOf(text, separator);
    if (cells.length > 1 && !cells.includes("")) return cells;
  }
  return [unquoted(text)];
}

/** `[0] tench`, `0) tench`, `0. tench`, `0 -> tench`, `class 0: tench`: on every line, with all numbers of a row, from 0 on (from 1 on is refused). */
function fromMarks(lines: readonly Line[], path: string): LabelFile | null {
  const numbered = lines.map(({ number, text }): Numbered | null => {
    const [, index, name] = MARKED.exec(text) ?? [];
    return index === undefined ? null : { line: number, index: Number(index), name: unquoted(name!) };
  });
  const whole = numbered.filter((one) => one !== null);
  if (whole.length < lines.length || whole.length < 2 || !isCounted(whole)) return null;
  return { labels: inOrder(whole, path), head: null };
}

/** A table whose head names the column of names, and perhaps that of numbers; what else it has is left aside. */
function fromHeadedColumns(lines: readonly Line[], path: string): LabelFile | null {
  for (const separator of [/\t/, /;/, /,/]) {
    const [head, ...rows] = lines.map(({ number, text }) => ({ number, cells: cellsOf(text, separator) }));
    const names = head!.cells.flatMap((cell, at) => (NAME_HEAD.test(cell) ? [at] : []));
    const index = head!.cells.findIndex((cell) => INDEX_HEAD.test(cell));
    // "label" heads a column of numbers as often as one of names.
    const name = names.find((at) => at !== index && !rows.every(({ cells }) => /^\d+$/.test(cells[at] ?? "")));
    if (head!.cells.length < 2 || rows.length === 0 || name === undefined) continue;
    const broken = rows.find(({ cells }) => cells.length !== head!.cells.length || cells[name] === "");
    if (broken !== undefined) {
      const found = `${broken.cells.length} cells${broken.cells[name] === "" ? ", the name empty" : ""}`;
      throw refusedLabels(path, broken.number, `${head!.cells.length} cells as the head has, found ${found}`);
    }
    const numbered = rows.map(({ number, cells }): Numbered => {
      return { line: number, index: index < 0 ? Number.NaN : Number(cells[index]), name: cells[name]! };
    });
    if (numbered.every((row) => Number.isInteger(row.index))) return { labels: inOrder(numbered, path), head: null };
    return { labels: numbered.map((row) => row.name), head: null };
  }
  return null;
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

function isCounted(numbered: readonly Numbered[]): boolean {
  const numbers = numbered.map(({ index }) => index).sort((a, b) => a - b);
  return numbers[0]! <= 1 && numbers.every((number, at) => number === numbers[0]! + at);
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
