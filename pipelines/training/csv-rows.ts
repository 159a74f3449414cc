/** Heads of columns of images and of classes, as `plainHead` writes them */
export const PATH_HEADS =
  /^(path|file|image|img|filename|file_name|filepath|file_path|image_path|image_file|image_name|uri|url)$/;
export const LABEL_HEADS = /^(label|class|class_name|classname|label_name|category|target|species|choice)$/;

/** A column's head in small letters, `_` for blanks and hyphens. */
export function plainHead(head: string): string {
  return head.trim().toLowerCase().replace(/[ -]/g, "_");
}

/** The text without Excel's own hint, `sep=;`, which it does not show; its line stays. `told`: the separator that the hint names. */
export function withoutHint(text: string): { readonly text: string; readonly told: string | undefined } {
  const [, told] = /^sep=(.)(?:\r\n|\r|\n)/i.exec(text) ?? [];
  return { text: told === undefined ? text : text.replace(/^.*/, ""), told };
}

/** A row of a CSV file: its cells, and the line on which it begins, counted from 1. */
export interface CsvRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * The rows of a CSV text, those without any words left out, and of each the empty cells at its end: spreadsheets write as many as they please. A cell in double quotes may hold the separator, line ends, and quotes written twice; other cells, and blanks
 * around quotes, are trimmed. Null where a quote is never closed, or something follows a closed one.
 */
export function csvRows(text: string, separator: string): CsvRow[] | null {
  const rows: CsvRow[] = [];
  let cells: string[] = [];
  let line = 1;
  let began = 1;
  for (let at = 0; at <= text.length;) {
    while (text[at] === " ") at++;
    let cell: string;
    if (text[at] === '"') {
      const end = closingQuote(text, at);
      if (end === -1) return null;
      cell = text.slice(at + 1, end).replaceAll('""', '"');
      line += lineEnds(cell);
      at = end + 1;
      while (text[at] === " ") at++;
      if (!isEnd(text[at], separator)) return null;
    } else {
      const start = at;
      while (!isEnd(text[at], separator)) at++;
      cell = text.slice(start, at).trim();
    }
    cells.push(cell);
    if (text[at] === separator) {
      at++;
      continue;
    }
    while (cells.at(-1) === "") cells.pop();
    if (cells.length > 0) rows.push({ line: began, cells });
    cells = [];
    at += text[at] === "\r" && text[at + 1] === "\n" ? 2 : 1;
    line++;
    began = line;
  }
  return rows;
}

function isEnd(character: string | undefined, separator: string): boolean {
  return character === undefined || character === separator || character === "\n" || character === "\r";
}

function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at;
  }
  return -1;
}

function lineEnds(text: string): number {
  return (text.match(/\r\n|\r|\n/g) ?? []).length;
}
