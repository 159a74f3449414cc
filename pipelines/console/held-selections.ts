import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../../connectors/store/store.js";
import { labelFrontier } from "../../operators/archive/image-labels.js";
import { mostK, reserveOf, type Dataset } from "../../schemas/dataset.js";
import { isSluiceError, messageOf, SluiceError } from "../../schemas/errors.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { rebuildPlace } from "../versions/rebuild-place.js";
import { HeldSelection } from "./held-selection.js";

/** How old what is known of the archive may be before it is looked at again, ms */
const FRESH_MS = 1000;
/** How long an answer waits for the archive's newest rows, ms: a wall that is a moment old is better than none */
const PATIENCE_MS = 150;
/** After a refusal, how long until the same is tried again, ms */
const REFUSED_MS = 10_000;
/** Rankings held at once; the one asked for last stays */
const HELD = 3;
/** How much deeper than asked a ranking is read: the next drag goes further */
const DEEPER = 2;

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

interface Entry {
  held: HeldSelection | null;
  reading: { done: number; readonly depth: number | undefined; readonly what: string } | null;
  refused: { readonly why: string; readonly atMs: number } | null;
  lookedMs: number;
  looking: Promise<void> | null;
}

export interface HeldSelectionsOptions {
  readonly store: Store;
  readonly maxStateBytes: number;
  readonly nowMs: () => number;
  /** Something was read, or cannot be: those who wait may ask again */
  readonly onChange: () => void;
  readonly signal: AbortSignal;
}

/** The rankings that people look at, read once and kept up with the archive. */
export class HeldSelections {
  readonly #options: HeldSelectionsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: HeldSelectionsOptions) {
    this.#options = options;
  }

  /** What is known now, and what is being read. Never waits for a whole archive. */
  async ask(asked: AskedSelection): Promise<HeldAnswer> {
    const { nowMs } = this.#options;
    const name = parametersDigest(asked.dataset, teacherDigest(asked.card), asked.stream, asked.card);
    const entry = this.#entryOf(name);
    if (entry.refused !== null && nowMs() - entry.refused.atMs > REFUSED_MS) entry.refused = null;
    const deepEnough = await this.#isDeepEnough(entry, asked.k);
    if (!deepEnough && entry.reading === null && entry.refused === null) this.#read(entry, asked);
    if (entry.held !== null) await this.#follow(entry, asked, nowMs() - entry.lookedMs > FRESH_MS);
    // A small archive is read before anybody could see that it was waited for.
    else if (entry.reading !== null) await Promise.race([entry.looking, sleep(PATIENCE_MS)]);
    const { reading } = entry;
    return {
      held: entry.held,
      reading: reading === null ? null : { what: reading.what, done: reading.done, total: null },
      refused: entry.refused?.why ?? null,
    };
  }

  /** Labels were appended, or a version published: the next answer must heed them. */
  async refresh(): Promise<void> {
    for (const entry of this.#entries.values()) {
      await Promise.allSettled([entry.looking]);
      entry.lookedMs = Number.NEGATIVE_INFINITY;
    }
  }

  async #isDeepEnough({ held, reading }: Entry, k: number | undefined): Promise<boolean> {
    if (reading !== null) return k === undefined || reading.depth === undefined || reading.depth >= k;
    if (held === null) return false;
    if (k === undefined || k <= mostK(held.dataset.select.k) / 2) return true;
    return (await held.curve()).exactTo >= k;
  }

  #entryOf(name: string): Entry {
    const known = this.#entries.get(name);
    this.#entries.delete(name);
    const entry = known ?? {
      held: null,
      reading: null,
      refused: null,
      lookedMs: Number.NEGATIVE_INFINITY,
      looking: null,
    };
    this.#entries.set(name, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= HELD) break;
      this.#entries.delete(oldest);
    }
    return entry;
  }

  #read(entry: Entry, asked: AskedSelection): void {
    const { store, maxStateBytes, nowMs, onChange, signal } = this.#options;
    const { dataset, card, stream, k } = asked;
    const own = mostK(dataset.select.k) + reserveOf(dataset);
    // The dataset's own depth has checkpoints; a deeper one is read from the beginning.
    const depth = entry.held === null && (k === undefined || k <= own) ? undefined : Math.max(k ?? 0, own) * DEEPER;
    const what = depth === undefined ? `ranking ${dataset.name}` : `ranking ${dataset.name} down to rank ${depth}`;
    const reading = { done: 0, depth, what };
    entry.reading = reading;
    entry.looking = (async () => {
      try {
        const place = await rebuildPlace(store, { teacher: teacherDigest(card), stream }, dataset, {}, {});
        const labels = await labelFrontier(store, stream);
        const options = { store, dataset, card, stream, span: place.span, depth, maxStateBytes };
        const onSegment = (done: number): void => {
          reading.done = done;
        };
        entry.held = await HeldSelection.open(options, place.frontier, labels, onSegment, signal);
        entry.lookedMs = nowMs();
      } catch (error) {
        if (!isRefusal(error)) throw error;
        entry.refused = { why: messageOf(error), atMs: nowMs() };
      } finally {
        entry.reading = null;
        onChange();
      }
    })();
    // What fails for a reason that is no refusal is said to the next one who asks.
    entry.looking.catch((error: unknown) => {
      entry.refused = { why: messageOf(error), atMs: nowMs() };
    });
  }

  /** Takes in what came since. Where nobody must wait for it, it goes on behind the answer. */
  async #follow(entry: Entry, asked: AskedSelection, isStale: boolean): Promise<void> {
    const { store, nowMs } = this.#options;
    const { held } = entry;
    if (!isStale || held === null || entry.reading !== null) return;
    const must = entry.lookedMs === Number.NEGATIVE_INFINITY;
    entry.lookedMs = nowMs();
    const following = (async () => {
      const frontier = await held.archive.frontier({ from: held.frontier });
      await held.follow(frontier, await labelFrontier(store, asked.stream, held.labels));
    })();
    entry.looking = following;
    following.catch((error: unknown) => {
      entry.refused = { why: messageOf(error), atMs: nowMs() };
    });
    if (must) await following;
    else await Promise.race([Promise.allSettled([following]), sleep(PATIENCE_MS)]);
  }
}

/** What the archive or the parameters say: an answer for people, and no fault of ours. */
function isRefusal(error: unknown): error is SluiceError {
  return isSluiceError(error) && error.code !== "E_INTERNAL";
}
