import type { LogLevel } from "../schemas/log-level.js";
import { isAtLeast, logRecord, stampedLine } from "./log-record.js";

/** What a command says beside its result. */
export interface SaidNote {
  readonly type: "note" | "warning";
  /** For programs that are to know the warning again, whatever its words */
  readonly code?: string;
  readonly message: string;
}

/**
 * `text` for people, `stamped` the same with time and level; `json`: one object a line, for programs; `log`: the same as a log's
 * record; `none`: `--quiet`.
 */
export type NoteForm = "text" | "stamped" | "json" | "log" | "none";

/** A note as its line on stderr; null where nothing is to be said. `least`: of the forms that have levels. */
export function noteLine(said: SaidNote, form: NoteForm, nowMs: number, least: LogLevel): string | null {
  const { type, ...fields } = said;
  const level = type === "warning" ? "warn" : "info";
  switch (form) {
    case "none":
      return null;
    case "json":
      return JSON.stringify(said);
    case "log":
      return isAtLeast(level, least) ? logRecord(nowMs, level, type, fields) : null;
    case "stamped":
      return isAtLeast(level, least) ? stampedLine(nowMs, level, said.message) : null;
    case "text":
      return type === "warning" ? `warning: ${said.message}` : said.message;
  }
}
