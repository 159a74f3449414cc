import { readdir, readFile } from "node:fs/promises";
import { orNull } from "../../schemas/errors.js";

/** What a process holds. */
export interface ProcessFigures {
  /** Memory that is no file's, bytes */
  readonly memoryBytes: number;
  /** Open files, sockets and pipes */
  readonly handles: number;
  /** Files in its data folder */
  readonly files: number;
}

/** null where the process has gone. Of Linux's /proc. */
export async function processFigures(pid: number, folder: string): Promise<ProcessFigures | null> {
  const status = await orNull(readFile(`/proc/${pid}/status`, "utf8"), "ENOENT");
  const handles = await orNull(readdir(`/proc/${pid}/fd`), "ENOENT");
  const anonymous = /^RssAnon:\s+(\d+) kB$/m.exec(status ?? "")?.[1];
  if (anonymous === undefined || handles === null) return null;
  const files = (await orNull(readdir(folder, { recursive: true }), "ENOENT")) ?? [];
  return { memoryBytes: Number(anonymous) * 1024, handles: handles.length, files: files.length };
}
