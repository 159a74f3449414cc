import type { PathLike, Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { orNull } from "../schemas/errors.js";

/** What the system says of a path that leads to nothing: a part of it is missing, is no folder, or is longer than a name can be. */
export const ABSENT = ["ENOENT", "ENOTDIR", "ENAMETOOLONG"] as const;

/** What lies at a path, links followed; null where nothing does. Throws what else the system says (EACCES, EIO, ELOOP). */
export function statIfThere(path: PathLike): Promise<Stats | null> {
  return orNull(stat(path), ...ABSENT);
}
