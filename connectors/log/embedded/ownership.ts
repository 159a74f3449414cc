import { randomUUID } from "node:crypto";
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { SluiceError } from "../../../schemas/errors.js";
import type { CheckedTable } from "./checked-table.js";
import type { LmdbFolder } from "./lmdb-folder.js";
import { ownIdentity, stateOf, type ProcessIdentity } from "../../process-identity.js";

/** Who works on a folder. */
export interface Holder extends ProcessIdentity {
  readonly command: string;
  /** ms since the epoch */
  readonly sinceMs: number;
  /** Of this one opening: a process may open, close and open again. */
  readonly nonce: string;
}

/** Its entry in the log's table of names */
export const OWNER = Buffer.from("owner");
/** Touched while the folder is held: how a holder in another container is seen to live. */
const BEAT_FILE = "owner.beat";
const BEAT_MS = 2_000;
/** Four beats, so that a holder with a busy event loop is not taken for dead. In sixteen looks. */
const WATCH_MS = 8_000;

/**
 * Makes this process the folder's only writer, decided inside a write transaction. Throws E_LOCKED, with the holder's
 * pid, command and since when, while another one lives. A process that lost the folder all the same (a process that was
 * stopped for long in another container) finds that out in its next transaction: see `assertHeld`.
 */
export async function takeOwnership(
  folder: LmdbFolder,
  meta: CheckedTable,
  command: string,
  { watchMs = WATCH_MS }: { readonly watchMs?: number } = {},
): Promise<Ownership> {
  const mine: Holder = { ...ownIdentity(), command, sinceMs: Date.now(), nonce: randomUUID() };
  let forgotten: string | null = null;
  for (;;) {
    const other = folder.writeNow(() => {
      const found = holderOf(meta);
      const free = found === null || found.nonce === forgotten || stateOf(found, mine) === "dead";
      if (!free) return found;
      meta.put(OWNER, Buffer.from(JSON.stringify(mine)));
      return null;
    });
    if (other === null) return new Ownership(folder, meta, mine);
    if (stateOf(other, mine) === "alive" || (await beats(folder.folder, watchMs))) throw locked(folder.folder, other);
    forgotten = other.nonce;
  }
}

/** Who holds the folder, or null. A holder that died without a word is still named; `alive` says what is known. */
export function currentHolder(meta: CheckedTable): { holder: Holder; alive: "alive" | "dead" | "unknown" } | null {
  const holder = holderOf(meta);
  return holder === null ? null : { holder, alive: stateOf(holder, ownIdentity()) };
}

export class Ownership {
  readonly #folder: LmdbFolder;
  readonly #meta: CheckedTable;
  readonly #mine: Holder;
  readonly #beat: NodeJS.Timeout;

  constructor(folder: LmdbFolder, meta: CheckedTable, mine: Holder) {
    this.#folder = folder;
    this.#meta = meta;
    this.#mine = mine;
    const file = join(folder.folder, BEAT_FILE);
    writeFileSync(file, "");
    this.#beat = setInterval(() => {
      touch(file);
    }, BEAT_MS);
    this.#beat.unref();
  }

  /** Inside a write transaction: throws E_LOCKED where another process has taken the folder over. */
  assertHeld(): void {
    const found = holderOf(this.#meta);
    if (found === null || found.nonce !== this.#mine.nonce) throw locked(this.#folder.folder, found ?? this.#mine);
  }

  release(): void {
    clearInterval(this.#beat);
    this.#folder.writeNow(() => {
      if (holderOf(this.#meta)?.nonce === this.#mine.nonce) this.#meta.remove(OWNER);
    });
  }
}

function holderOf(meta: CheckedTable): Holder | null {
  const bytes = meta.get(OWNER);
  return bytes === undefined ? null : (JSON.parse(bytes.toString()) as Holder);
}

/** Whether somebody touches the beat file. */
export async function beats(folder: string, watchMs = WATCH_MS): Promise<boolean> {
  const first = touchedMs(folder);
  for (let waited = 0; waited < watchMs; waited += watchMs / 16) {
    await delay(watchMs / 16);
    if (touchedMs(folder) !== first) return true;
  }
  return false;
}

function touchedMs(folder: string): number {
  return statSync(join(folder, BEAT_FILE), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function touch(file: string): void {
  try {
    const now = new Date();
    utimesSync(file, now, now);
  } catch {
    // The folder is gone or read-only by now: the next transaction says so.
  }
}

export function locked(
  folder: string,
  { pid, command, sinceMs }: Pick<Holder, "pid" | "command" | "sinceMs">,
): SluiceError {
  const since = new Date(sinceMs).toISOString();
  const who = pid === process.pid ? "this very process" : `process ${pid}`;
  return new SluiceError(
    "E_LOCKED",
    `Expected nobody else to work on ${folder}, found ${who} (\`${command}\`, since ${since}). ` +
      "Wait until it ends or stop it; `sluice status` may look on meanwhile.",
    { pid, command, sinceMs, folder },
  );
}
