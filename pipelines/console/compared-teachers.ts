import type { Store } from "../../connectors/store/store.js";
import { compareTeachers, type TeacherComparison } from "../teachers/compare-teachers.js";

/** Images of a class that are shown on either side */
const IMAGES = 12;
/** How long a comparison stands while the archive grows, ms */
const STANDS_MS = 5 * 60_000;
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
  readonly name: string;
  readonly beganMs: number;
  done: number;
  readonly found: Promise<TeacherComparison>;
}

/** Comparisons of two teachers for pages: both archives are read whole for one, so that the last one is held. */
export class ComparedTeachers {
  readonly #options: ComparedTeachersOptions;
  #last: Comparing | null = null;

  constructor(options: ComparedTeachersOptions) {
    this.#options = options;
  }

  /** null while it is read; `done`: records that both have scored, so far. */
  async of(pair: AskedPair): Promise<{ readonly found: TeacherComparison | null; readonly done: number }> {
    const { nowMs } = this.#options;
    const name = `${pair.first}/${pair.second}`;
    if (this.#last?.name !== name || nowMs() - this.#last.beganMs > STANDS_MS) this.#last = this.#begin(name, pair);
    const asked = this.#last;
    const late = new Promise<null>((resolve) => {
      setTimeout(resolve, PATIENCE_MS, null);
    });
    try {
      return { found: await Promise.race([asked.found, late]), done: asked.done };
    } catch (error) {
      if (this.#last === asked) this.#last = null;
      throw error;
    }
  }

  #begin(name: string, pair: AskedPair): Comparing {
    const { store, stream, nowMs, signal } = this.#options;
    const onRecords = (both: number): void => {
      comparing.done = both;
    };
    const found = compareTeachers(store, stream, { ...pair, images: IMAGES, onRecords, signal });
    const comparing: Comparing = { name, beganMs: nowMs(), done: 0, found };
    // The next one who asks is told what became of it.
    void Promise.allSettled([found]);
    return comparing;
  }
}
