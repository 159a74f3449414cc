import { setTimeout as sleep } from "node:timers/promises";
import { InTurn } from "../../connectors/in-turn.js";
import type { Store } from "../../connectors/store/store.js";
import { labelFrontier } from "../../operators/archive/image-labels.js";
import { mostK, reserveOf, type Dataset, type Span } from "../../schemas/dataset.js";
import { isSluiceError, messageOf, SluiceError } from "../../schemas/errors.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { newestSpanAt, rebuildPlace } from "../versions/rebuild-place.js";
import { heldBytes, HeldSelection } from "./held-selection.js";

/** How old what is known of the archive may be before it is looked at again, ms */
const FRESH_MS = 1000;
/** How long an answer waits for the archive's newest rows, ms: a wall that is a moment old is better than none */
const PATIENCE_MS = 150;
/** After a refusal, how long until the same is tried again, ms */
const REFUSED_MS = 10_000;
/** A ranking that nobody has asked for in so long is not read on, where others wait for theirs, ms: a page asks several times a second */
const ABANDONED_MS = 10_000;
/** How much deeper than asked a ranking is read: the next drag goes further */
const DEEPER = 2;
/** Rankings held at once, where all of them fit into memory */
const HELD = 8;

/** What is asked for: a selection, and how far down its classes' lists. */
export interface AskedSelection {
  readonly dataset: Dataset;
  readonly card: ModelCard & ClassNames;
  readonly stream: string;
  /** Rows a class that must be ranked exactly; by default as many as the dataset's own K */
  readonly k?: number | undefined;
}

export interface Reading {
  readonly what: string;
  readonly done: number;
  readonly total: number | null;
}

export interface HeldAnswer {
  /** null until the first is read, and where it is refused */
  readonly held: HeldSelection | null;
  /** What is read at the moment so that the answer gets better */
  readonly reading: Reading | null;
  readonly refused: string | null;
}

/** A ranking that answers. */
interface Standing {
  readonly selection: HeldSelection;
  readonly bytes: number;
  /** Of all that was said and published here, up to where it heeds it */
  heeds: number;
  lookedMs: number;
  heeding: Promise<void> | null;
  following: Promise<void> | null;
}

interface BeingRead {
  done: number;
  readonly depth: number | undefined;
  readonly what: string;
  readonly bytes: number;
  ended: Promise<void>;
}

interface Entry {
  readonly name: string;
  held: Standing | null;
  reading: BeingRead | null;
  /** `k`: what was asked for; undefined: the dataset's own K */
  refused: { readonly why: string; readonly atMs: number; readonly k: number | undefined } | null;
  askedMs: number;
}

export interface HeldSelectionsOptions {
  readonly store: Store;
  /** Of all rankings together. One may take half of it: a deeper one stands beside the one that it takes the place of. */
  readonly maxStateBytes: number;
  readonly nowMs: () => number;
  /** Something was read, or cannot be: those who wait may ask again */
  readonly onChange: () => void;
  readonly signal: AbortSignal;
}

/** The rankings that people look at, read once, one at a time, and kept up with the archive. */
export class HeldSelections {
  readonly #options: HeldSelectionsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #turns = new InTurn();
  /** Readings that wait for another one */
  #waiting = 0;
  /** Counts up with all that is said and published here */
  #said = 0;
  /** Of one ranking */
  readonly #mostBytes: number;

  constructor(options: HeldSelectionsOptions) {
    this.#options = options;
    this.#mostBytes = options.maxStateBytes / 2;
  }

  /** What is known now, and what is being read. Never waits for a whole archive. */
  async ask(asked: AskedSelection): Promise<HeldAnswer> {
    const { nowMs } = this.#options;
    const { dataset, card, stream, k } = asked;
    // The newest version, with which walls and figures compare, is a dataset's own.
    const entry = this.#entryOf(`${dataset.name}/${parametersDigest(dataset, teacherDigest(card), stream, card)}`);
    if (entry.refused !== null && nowMs() - entry.refused.atMs > REFUSED_MS) entry.refused = null;
    if (entry.held !== null) await this.#keepUp(entry, entry.held, asked);
    const refused = refusalOf(entry, k);
    if (entry.reading === null && refused === null && !(await isDeepEnough(entry.held, k))) this.#read(entry, asked, k);
    // What is refused so far down may have an answer for the dataset's own K.
    if (entry.reading === null && entry.held === null && refusalOf(entry, undefined) === null)
      this.#read(entry, asked, undefined);
    const { reading } = entry;
    // A small archive is read before anybody could see that it was waited for.
    if (entry.held === null && reading !== null) await Promise.race([reading.ended, sleep(PATIENCE_MS)]);
    const going = entry.reading;
    return {
      held: entry.held?.selection ?? null,
      reading: going === null ? null : { what: going.what, done: going.done, total: null },
      refused: refusalOf(entry, k)?.why ?? null,
    };
  }

  /** Labels were appended, or a version published: the next answer must heed them. */
  refresh(): void {
    this.#said++;
  }

  #entryOf(name: string): Entry {
    const known = this.#entries.get(name);
    this.#entries.delete(name);
    const entry = known ?? { name, held: null, reading: null, refused: null, askedMs: 0 };
    entry.askedMs = this.#options.nowMs();
    this.#entries.set(name, entry);
    this.#evict(entry, 0);
    return entry;
  }

  /** Lets go of what was asked for longest ago, until there is room; never of what is being read. */
  #evict(wanted: Entry, bytes: number): void {
    const held = (): number =>
      [...this.#entries.values()].reduce((sum, { held: one }) => sum + (one === null ? 0 : one.bytes), 0);
    for (const entry of this.#entries.values()) {
      if (this.#entries.size <= HELD && held() + bytes <= this.#options.maxStateBytes) break;
      if (entry !== wanted && entry.reading === null) this.#entries.delete(entry.name);
    }
  }

  #read(entry: Entry, asked: AskedSelection, k: number | undefined): void {
    const { dataset } = asked;
    const own = mostK(dataset.select.k) + reserveOf(dataset);
    // The dataset's own depth has checkpoints; a deeper one is read from the beginning.
    this.#begin(
      entry,
      asked,
      k,
      entry.held === null && (k === undefined || k <= own) ? undefined : Math.max(k ?? 0, own) * DEEPER,
    );
  }

  #begin(entry: Entry, asked: AskedSelection, k: number | undefined, depth: number | undefined): void {
    const { nowMs, onChange } = this.#options;
    const { dataset } = asked;
    let bytes: number;
    try {
      bytes = heldBytes({ ...asked, depth, maxStateBytes: this.#mostBytes });
    } catch (error) {
      if (!isSluiceError(error)) throw error;
      entry.refused = { why: error.message, atMs: nowMs(), k };
      return;
    }
    const what = depth === undefined ? `ranking ${dataset.name}` : `ranking ${dataset.name} down to rank ${depth}`;
    const reading: BeingRead = { done: 0, depth, what, bytes, ended: Promise.resolve() };
    entry.reading = reading;
    if (!this.#entries.has(entry.name)) this.#entries.set(entry.name, entry);
    this.#waiting++;
    reading.ended = (async () => {
      try {
        await this.#turns.run(() => this.#readIn(entry, asked, reading));
      } catch (error) {
        // Whatever it is, the next one who asks is told; what nobody asked for any more is begun anew.
        if (!isSluiceError(error, "E_CANCELLED")) entry.refused = { why: messageOf(error), atMs: nowMs(), k };
      } finally {
        entry.reading = null;
        onChange();
      }
    })();
  }

  async #readIn(entry: Entry, asked: AskedSelection, reading: BeingRead): Promise<void> {
    const { store, nowMs, signal } = this.#options;
    const { dataset, card, stream } = asked;
    this.#waiting--;
    const goOn = (): void => {
      if (this.#waiting > 0 && nowMs() - entry.askedMs > ABANDONED_MS)
        throw new SluiceError("E_CANCELLED", "Nobody waits for the ranking any more, and somebody for another one.");
    };
    goOn();
    const heeds = this.#said;
    this.#evict(entry, reading.bytes);
    const place = await rebuildPlace(store, { teacher: teacherDigest(card), stream }, dataset, {}, {});
    const labels = await labelFrontier(store, stream);
    const options = {
      store,
      dataset,
      card,
      stream,
      span: place.span,
      depth: reading.depth,
      maxStateBytes: this.#mostBytes,
    };
    const onSegment = (done: number): void => {
      reading.done = done;
      goOn();
    };
    const selection = await HeldSelection.open(options, place.frontier, labels, onSegment, signal);
    const lookedMs = nowMs();
    entry.held = { selection, bytes: reading.bytes, heeds, lookedMs, heeding: null, following: null };
    if (entry.refused?.k === undefined) entry.refused = null;
  }

  /** Takes in what came since: what was said here is waited for, the archive's newest rows but a moment. */
  async #keepUp(entry: Entry, held: Standing, asked: AskedSelection): Promise<void> {
    const isStale = this.#options.nowMs() - held.lookedMs > FRESH_MS;
    const following = isStale ? this.#follow(entry, held, asked) : null;
    while (held.heeds < this.#said) await this.#heed(held, asked);
    if (following !== null) await Promise.race([Promise.allSettled([following]), sleep(PATIENCE_MS)]);
  }

  /** One heeds at a time: an older one that ends later would set back what a newer one has heeded. */
  #heed(held: Standing, { stream }: AskedSelection): Promise<void> {
    const heeds = this.#said;
    return (held.heeding ??= (async () => {
      try {
        await held.selection.heed(await labelFrontier(this.#options.store, stream, held.selection.labels));
        held.heeds = heeds;
      } finally {
        held.heeding = null;
      }
    })());
  }

  /** Follows the archive, unless that is done already. */
  #follow(entry: Entry, held: Standing, asked: AskedSelection): Promise<void> {
    const { nowMs } = this.#options;
    const { selection } = held;
    held.lookedMs = nowMs();
    return (held.following ??= (async () => {
      try {
        await this.#heed(held, asked);
        const frontier = await selection.archive.frontier({ from: selection.frontier });
        if (isSame(selection.span, await newestSpanAt(selection.archive, asked.dataset.window, frontier)))
          await selection.follow(frontier);
        // Another window has begun: it is ranked anew, and the one before stands until then.
        else if (entry.reading === null) this.#begin(entry, asked, undefined, selection.depth);
      } catch (error) {
        entry.refused = { why: messageOf(error), atMs: nowMs(), k: undefined };
      } finally {
        held.following = null;
      }
    })());
  }
}

function isSame(a: Span, b: Span): boolean {
  return a.startMs === b.startMs && a.endMs === b.endMs;
}

async function isDeepEnough(held: Standing | null, k: number | undefined): Promise<boolean> {
  if (held === null) return false;
  const { selection } = held;
  if (k === undefined || k <= mostK(selection.dataset.select.k) / 2) return true;
  return (await selection.curve()).exactTo >= k;
}

/** What was refused so far down the lists says nothing of those who ask for less. */
function refusalOf({ refused }: Entry, k: number | undefined): Entry["refused"] {
  return refused === null || refused.k === undefined || (k !== undefined && k >= refused.k) ? refused : null;
}
