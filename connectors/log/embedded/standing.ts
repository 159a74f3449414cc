import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { isSluiceError } from "../../../schemas/errors.js";
import { openSealedJson, sealJson } from "../../../schemas/sealed-json.js";
import { logCorrupt } from "./checked-table.js";
import { LMDB_FILE, LmdbFile } from "./lmdb-file.js";
import { beats, locked } from "./ownership.js";
import { ownIdentity, stateOf } from "../../process-identity.js";
import { walkLogFile } from "./walk-log-file.js";

/** Says beside the log whether a process has it open, or how it was left. */
const STANDING_FILE = "standing.json";

const standingSchema = z.discriminatedUnion("state", [
  z.strictObject({
    state: z.literal("open"),
    pid: z.int(),
    startedAt: z.string(),
    place: z.string(),
    command: z.string(),
    sinceMs: z.number(),
  }),
  /** As it was when its last writer had closed it */
  z.strictObject({
    state: z.literal("closed"),
    sizeBytes: z.number(),
    modifiedMs: z.number(),
    metaCrc32: z.int(),
  }),
]);
type Standing = z.infer<typeof standingSchema>;

/** A new log is made in a folder of that ending, which then takes the log's name. */
export const REBUILDING = ".rebuilding";
const UNFINISHED = "it was put aside by a `sluice log rebuild` that has not ended";

/** Looks again at a file that changes under the walk: its writer lives where this process cannot see it. */
const LOOKS = 5;

/**
 * Before lmdb opens the file, which would die of a damaged one: after any end but a clean one, and where the file is not as it was
 * closed, the whole of it is walked. Throws E_LOG_CORRUPT.
 */
export function assertSound(folder: string): void {
  const standing = readStanding(folder);
  if (standing?.state === "open" && stateOf(standing, ownIdentity()) === "alive") return;
  const size = statSync(join(folder, LMDB_FILE), { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) {
    if (existsSync(`${folder}${REBUILDING}`)) throw logCorrupt(folder, UNFINISHED);
    if (standing === null) return;
    throw logCorrupt(folder, "there is nothing in it, although the log was written to");
  }
  if (standing?.state === "closed" && isAsClosed(folder, standing)) return;
  for (let look = 1; ; look++) {
    const before = metaCrc32(folder);
    try {
      walkLogFile(folder);
      return;
    } catch (error) {
      if (!isSluiceError(error, "E_LOG_CORRUPT")) throw error;
      if (before === null || before === metaCrc32(folder)) throw error;
      if (look === LOOKS) return;
    }
  }
}

/** What is wrong with a log that nobody has open, read whole; null where nothing is. */
export function faultOf(folder: string): string | null {
  if (existsSync(`${folder}${REBUILDING}`) && !existsSync(folder)) return UNFINISHED;
  if (!existsSync(join(folder, LMDB_FILE))) return "there is no log";
  try {
    walkLogFile(folder, { values: true });
    return null;
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_CORRUPT")) throw error;
    return String(error.context["found"]);
  }
}

/** Throws E_LOCKED while somebody writes to the log; does not open it. */
export async function assertNotHeld(folder: string): Promise<void> {
  const standing = readStanding(folder);
  if (standing?.state !== "open") return;
  const state = stateOf(standing, ownIdentity());
  if (state === "alive" || (state === "unknown" && (await beats(folder)))) throw locked(folder, standing);
}

/** Whether its last writer has closed it. */
export function isClosed(folder: string): boolean {
  return readStanding(folder)?.state === "closed";
}

/** For the folder's only writer. */
export function markOpen(folder: string, command: string): void {
  write(folder, { state: "open", ...ownIdentity(), command, sinceMs: Date.now() });
}

/** Once lmdb has let go of the file. */
export function markClosed(folder: string): void {
  // Removed under its writer.
  if (!existsSync(join(folder, LMDB_FILE))) return;
  const found = metaCrc32(folder);
  if (found === null) return;
  const { size, mtimeMs } = statSync(join(folder, LMDB_FILE));
  write(folder, { state: "closed", sizeBytes: size, modifiedMs: mtimeMs, metaCrc32: found });
}

/** On a full disk nothing is said: what stands there does not fit the file any more, and it is walked the next time. */
function write(folder: string, standing: Standing): void {
  const file = join(folder, STANDING_FILE);
  try {
    writeFileSync(`${file}.new`, sealJson(standing));
    renameSync(`${file}.new`, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    rmSync(`${file}.new`, { force: true });
  }
}

/** null where there is none, or one that nobody can make sense of: then the file is walked. */
function readStanding(folder: string): Standing | null {
  const file = join(folder, STANDING_FILE);
  if (!existsSync(file)) return null;
  try {
    return standingSchema.parse(openSealedJson(readFileSync(file)));
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

function isAsClosed(
  folder: string,
  { sizeBytes, modifiedMs, metaCrc32: crc }: Standing & { state: "closed" },
): boolean {
  const { size, mtimeMs } = statSync(join(folder, LMDB_FILE));
  return size === sizeBytes && mtimeMs === modifiedMs && metaCrc32(folder) === crc;
}

/** null where the meta pages cannot be read. */
function metaCrc32(folder: string): number | null {
  const file = new LmdbFile(folder);
  try {
    file.meta();
    return crc32(file.metaBytes());
  } catch (error) {
    if (isSluiceError(error, "E_LOG_CORRUPT")) return null;
    throw error;
  } finally {
    file.close();
  }
}
