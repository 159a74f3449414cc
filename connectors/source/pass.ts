import { mkdir, open, readdir, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../../schemas/canonical.js";
import type { BytePath } from "./byte-path.js";
import { endLine, headerLine, keepUpTo, summaryOf, takenIn, takenLine, type Summary, type Taken } from "./listing.js";
import { isReached, type Mark } from "./mark.js";

/**
 * The passes over a source that one run makes, so that it takes what is new or changed, whatever its name, and nothing
 * twice. What was taken stands in one sorted text file a pass; a pass reads the last one and writes the next, side by side with
 * its walk: memory stays flat. The log's cursor, stored with the records in one transaction, decides how much of which pass
 * counts; losing these files costs repeats, never an image.
 *
 *     sluice-listing 1 <pass>
 *     <path, percent-encoded> TAB <mtime, ms> TAB <size, bytes>     ascending by path; of an object, TAB and its ETag
 *     end <the newest item handed out, as a cursor; or nothing>     only of a pass that got to its end
 *
 * A run that takes up an interrupted pass makes one more after it: something may have been added to the part that was passed.
 */
export async function* passes(folder: string, sourceName: string, cursor: Mark | null): AsyncGenerator<Pass> {
  await mkdir(folder, { recursive: true });
  const listings = new Listings(folder, sourceName);
  const first = await listings.begin(cursor);
  yield first;
  if (first.resumeAfter !== null) yield await listings.create(first.number + 1, first.number, first.newest);
}

/** The listings of one source. */
class Listings {
  readonly #folder: string;
  readonly #prefix: string;

  constructor(folder: string, sourceName: string) {
    this.#folder = folder;
    this.#prefix = sha256Hex(sourceName).slice(0, 32);
  }

  /** Takes up the pass that `cursor` stands in, or begins one. */
  async begin(cursor: Mark | null): Promise<Pass> {
    const found = await this.#summaries();
    // Only a pass whose items the log has all got tells the truth about what was taken.
    const settled = found.filter(({ ended, newest }) => ended && (newest === null || isReached(newest, cursor)));
    const base = settled.reduce<Summary | null>(
      (best, each) => (best === null || each.pass > best.pass ? each : best),
      null,
    );
    const basePass = base?.pass ?? 0;
    const interrupted = cursor !== null && cursor.pass > basePass && found.some(({ pass }) => pass === cursor.pass);
    for (const { pass } of found) {
      if (pass !== basePass && !(interrupted && pass === cursor.pass)) await rm(this.#file(pass));
    }
    const newest = base?.newest ?? null;
    if (!interrupted) return this.create(Math.max(basePass, cursor?.pass ?? 0) + 1, basePass, newest);
    const written = await keepUpTo(this.#file(cursor.pass), cursor.path);
    return new Pass(cursor.pass, cursor, takenIn(this.#file(basePass)), written, cursor);
  }

  async create(pass: number, basePass: number, newest: Mark | null): Promise<Pass> {
    const written = await open(this.#file(pass), "w");
    await written.write(headerLine(pass));
    return new Pass(pass, null, takenIn(this.#file(basePass)), written, newest);
  }

  #file(pass: number): string {
    return join(this.#folder, `${this.#prefix}.${pass}.listing`);
  }

  async #summaries(): Promise<readonly Summary[]> {
    const summaries: Summary[] = [];
    for (const name of await readdir(this.#folder)) {
      if (!name.startsWith(`${this.#prefix}.`)) continue;
      const summary = await summaryOf(join(this.#folder, name));
      if (summary !== null && name === `${this.#prefix}.${summary.pass}.listing`) summaries.push(summary);
      else await rm(join(this.#folder, name));
    }
    return summaries;
  }
}

/** One pass over a source, in ascending order of paths. */
export class Pass {
  readonly number: number;
  /** The pass goes on after this item; null: from the start */
  readonly resumeAfter: Mark | null;
  readonly #known: AsyncGenerator<Taken>;
  readonly #written: FileHandle;
  #newest: Mark | null;
  #ahead: IteratorResult<Taken> | null = null;
  #pending = "";

  constructor(
    number: number,
    resumeAfter: Mark | null,
    known: AsyncGenerator<Taken>,
    written: FileHandle,
    newest: Mark | null,
  ) {
    this.number = number;
    this.resumeAfter = resumeAfter;
    this.#known = known;
    this.#written = written;
    this.#newest = newest;
  }

  /** The newest item handed out, in this pass or before */
  get newest(): Mark | null {
    return this.#newest;
  }

  /** Whether the thing was taken before, unchanged. */
  async isTaken(thing: Taken): Promise<boolean> {
    const known = await this.#seek(thing.path);
    if (known === null) return false;
    return known.mtimeMs === thing.mtimeMs && known.sizeBytes === thing.sizeBytes && known.etag === thing.etag;
  }

  /** Carries over what is known of a path, without looking at it. */
  async keep(path: BytePath): Promise<void> {
    const known = await this.#seek(path);
    if (known !== null) this.add(known);
  }

  add(thing: Taken): void {
    this.#pending += takenLine(thing);
  }

  /** Must return before the things added are handed out: a process that is killed then repeats none. */
  async flush(): Promise<void> {
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    await this.#written.write(text);
  }

  /** The place of an item that is handed out now. */
  mark(path: BytePath, index = 0): Mark {
    this.#newest = { pass: this.number, path, index };
    return this.#newest;
  }

  /** Everything has been seen. */
  async end(): Promise<void> {
    await this.flush();
    await this.#written.write(endLine(this.#newest));
    await this.#written.sync();
  }

  async close(): Promise<void> {
    await this.#known.return(undefined);
    await this.#written.close();
  }

  async #seek(path: BytePath): Promise<Taken | null> {
    this.#ahead ??= await this.#known.next();
    while (this.#ahead.done !== true && this.#ahead.value.path < path) this.#ahead = await this.#known.next();
    return this.#ahead.done !== true && this.#ahead.value.path === path ? this.#ahead.value : null;
  }
}
