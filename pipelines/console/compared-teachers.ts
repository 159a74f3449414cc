import type { Store } from "../../connectors/store/store.js";
import { compareTeachers, type TeacherComparison } from "../teachers/compare-teachers.js";

/** Images of a class that are shown on either side */
const IMAGES = 12;
/** How long a comparison that has ended stands while the archive grows, ms */
const STANDS_MS = 5 * 60_000;
/** Comparisons that are held */
const HELD = 4;
/** How long an answer waits, ms: of a small archive it is read by then */
const PATIENCE_MS = 150;

export interface ComparedTeachersOptions {
  readonly store: Store;
  readonly stream: string;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

export interface AskedPair {
  readonly first: string;
  readonly second: string;
  readonly classCount: number;
}

interface Comparing {
  /** null: it is at work */
  endedMs: number | null;
  done: number;
  readonly found: Promise<TeacherComparison>;
}

/** Comparisons of two teachers for pages: both archives are read whole for one, so that one is made at a time, and the last ones are held. */
export class ComparedTeachers {
  readonly #options: ComparedTeachersOptions;
  readonly #held = new Map<string, Comparing>();
  #isAtWork = false;

  constructor(options: ComparedTeachersOptions) {
    this.#options = options;
  }

  /** null while it is read, or waits for another pair's; `done`: records that both have scored, so far. */
  async of(pair: AskedPair): Promise<{ readonly found: TeacherComparison | null; readonly done: number }> {
    const name = `${pair.first}/${pair.second}`;
    const asked = this.#standing(name, pair);
    if (asked === null) return { found: null, done: 0 };
    const late = new Promise<null>((resolve) => {
      setTimeout(resolve, PATIENCE_MS, null);
    });
    try {
      return { found: await Promise.race([asked.found, late]), done: asked.done };
    } catch (error) {
      if (this.#held.get(name) === asked) this.#held.delete(name);
      throw error;
    }
  }

  /** null where it is not begun, for another one is at work. */
  #standing(name: string, pair: AskedPair): Comparing | null {
    const held = this.#held.get(name) ?? null;
    const isOld = held !== null && held.endedMs !== null && this.#options.nowMs() - held.endedMs > STANDS_MS;
    if (this.#isAtWork || (held !== null && !isOld)) return held;
    const begun = this.#begin(pair);
    this.#held.delete(name);
    this.#held.set(name, begun);
    const [oldest] = this.#held.keys();
    if (this.#held.size > HELD) this.#held.delete(oldest!);
    return begun;
  }

  #begin(pair: AskedPair): Comparing {
    const { store, stream, nowMs, signal } = this.#options;
    const onRecords = (both: number): void => {
      comparing.done = both;
    };
    this.#isAtWork = true;
    const found = compareTeachers(store, stream, { ...pair, images: IMAGES, onRecords, signal });
    const comparing: Comparing = { endedMs: null, done: 0, found };
    // The next one who asks is told what became of it.
    void Promise.allSettled([found]).then(() => {
      comparing.endedMs = nowMs();
      this.#isAtWork = false;
    });
    return comparing;
  }
}
