import { INDEX_COLUMNS, type IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";

type Cell = string | number | null;

/** A line of CSV (RFC 4180): null is an empty cell, an empty text a quoted one. */
export function csvLine(cells: readonly Cell[]): string {
  return (
    cells
      .map((cell) => {
        if (cell === null) return "";
        const text = Object.is(cell, -0) ? "-0" : String(cell);
        return text === "" || /[",\r\n]/.test(text) || text.trim() !== text ? `"${text.replaceAll('"', '""')}"` : text;
      })
      .join(",") + "\r\n"
  );
}

/** The index as CSV, a chunk a group of rows; `fileOf` adds a column `file` with where each row's image lies. */
export async function* csvRows(
  groups: AsyncIterable<readonly IndexRow[]>,
  fileOf?: (row: IndexRow) => string | null,
): AsyncGenerator<Uint8Array> {
  const head = INDEX_COLUMNS.map(({ name }) => name as string);
  yield Buffer.from(csvLine(fileOf === undefined ? head : [...head, "file"]));
  for await (const rows of groups) {
    const lines = rows.map((row) => {
      const cells = INDEX_COLUMNS.map(({ name }): Cell => {
        if (name === "event_time") return new Date(row.eventTimeMs).toISOString();
        return name === "size_bytes" ? row.sizeBytes : row[name];
      });
      return csvLine(fileOf === undefined ? cells : [...cells, fileOf(row)]);
    });
    yield Buffer.from(lines.join(""));
  }
}

/** The classes as CSV: what a number or a folder's name stands for. */
export function csvClasses({ classes }: Pick<Manifest, "classes">, folders: readonly string[] | null): Uint8Array {
  const head = ["class", "label", "k", "rows", "best", "worst"];
  const lines = classes.map((one) => [one.class, one.label, one.k, one.count, one.best, one.worst]);
  return Buffer.from(
    [
      folders === null ? head : [...head, "folder"],
      ...lines.map((line, at) => (folders === null ? line : [...line, folders[at]!])),
    ]
      .map(csvLine)
      .join(""),
  );
}
