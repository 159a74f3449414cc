/** What a command says beside its result. */
export interface SaidNote {
  readonly type: "note" | "warning";
  /** For programs that are to know the warning again, whatever its words */
  readonly code?: string;
  readonly message: string;
}

/** `text` for people; `json`: one object a line, for programs; `none`: `--quiet`. */
export type NoteForm = "text" | "json" | "none";

/** A note as its line on stderr; null where nothing is to be said. */
export function noteLine(said: SaidNote, form: NoteForm): string | null {
  if (form === "none") return null;
  if (form === "json") return JSON.stringify(said);
  return said.type === "warning" ? `warning: ${said.message}` : said.message;
}
