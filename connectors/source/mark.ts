import { percentDecode, percentEncode, type BytePath } from "./byte-path.js";

/** Where a source stands: the last item handed out in a pass. `index` counts members of a shard; 0 for a file. */
export interface Mark {
  readonly pass: number;
  readonly path: BytePath;
  readonly index: number;
}

const CURSOR = /^(\d+):([^#]*)(?:#(\d+))?$/;

export function formatMark(mark: Mark): string {
  return `${mark.pass}:${percentEncode(mark.path)}${mark.index === 0 ? "" : `#${mark.index}`}`;
}

/** null for a cursor that no source wrote: then everything is taken again, and nothing lost. */
export function parseMark(cursor: string | null): Mark | null {
  const found = cursor === null ? null : CURSOR.exec(cursor);
  if (found === null) return null;
  return { pass: Number(found[1]), path: percentDecode(found[2]!), index: Number(found[3] ?? 0) };
}

/** Whether `mark` is handed out at or before `cursor`. */
export function isReached(mark: Mark, cursor: Mark | null): boolean {
  if (cursor === null) return false;
  if (cursor.pass !== mark.pass) return cursor.pass > mark.pass;
  if (cursor.path !== mark.path) return cursor.path > mark.path;
  return cursor.index >= mark.index;
}
