import { useEffect, useRef, useState } from "preact/hooks";
import { call, CallError } from "./calls.ts";

export const PAGE = 100;
/** Pages held: what is scrolled to and fro is not asked for twice, and a list of any length takes no more */
const HELD = 40;
const PENDING_MS = 300;
const AGAIN_MS = 2000;

interface Held<P> {
  readonly page: P;
  /** What it was asked for under: an older one is shown until the newer is there */
  readonly generation: number;
}

export interface Pages<P> {
  /** The newest that was answered: what it says of the whole holds */
  readonly newest: P | null;
  readonly error: CallError | null;
  /** The page that a place is in, null while it is not there */
  readonly at: (place: number) => P | null;
  /** The number of the place of an item of a page, where one that is held has it: the newest answer goes before older ones */
  readonly find: (among: (page: P) => number) => number | null;
  /** Asks for what is seen */
  readonly need: (first: number, last: number) => void;
  /** Asks anew for what is seen, also for what failed */
  readonly retry: () => void;
}

/** A list that is longer than one answer, a page of a hundred at a time. `path` has no `from` and `limit`. */
export function usePages<P extends object>(path: string, changes: number): Pages<P> {
  const [, redraw] = useState(0);
  const state = useRef({
    path: "",
    changes: -1,
    generation: 0,
    pages: new Map<number, Held<P>>(),
    asked: new Set<number>(),
    /** Why pages of this generation are not there. Only a change, a new address or a person asks for them again */
    failed: new Map<number, CallError>(),
    seen: [0] as readonly number[],
    newest: null as P | null,
    error: null as CallError | null,
    timer: 0,
    isGone: false,
  }).current;
  const ask = async (number: number): Promise<void> => {
    const { generation } = state;
    state.asked.add(number);
    try {
      const joint = path.includes("?") ? "&" : "?";
      const page = await call<P>(`${path}${joint}from=${number * PAGE}&limit=${PAGE}`);
      if (generation !== state.generation || state.isGone) return;
      state.pages.delete(number);
      state.pages.set(number, { page, generation });
      for (const oldest of state.pages.keys()) {
        if (state.pages.size <= HELD) break;
        if (!state.seen.includes(oldest)) state.pages.delete(oldest);
      }
      state.newest = page;
      state.failed.delete(number);
      state.error = [...state.failed.values()].at(-1) ?? null;
      if ("pending" in page && page.pending !== null) again(PENDING_MS);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (generation !== state.generation || state.isGone) return;
      state.failed.set(number, error);
      state.error = error;
      if (error.status === 0 || error.status === 503) again(AGAIN_MS);
    } finally {
      if (generation === state.generation) state.asked.delete(number);
    }
    redraw((count) => count + 1);
  };
  const anew = (): void => {
    // What waits to ask again would ask for the address of then.
    window.clearTimeout(state.timer);
    state.generation++;
    state.asked.clear();
    state.failed.clear();
    for (const number of state.seen) void ask(number);
  };
  const again = (ms: number): void => {
    window.clearTimeout(state.timer);
    state.timer = window.setTimeout(anew, ms);
  };
  if (state.path !== path) {
    Object.assign(state, {
      path,
      changes,
      generation: state.generation + 1,
      pages: new Map(),
      newest: null,
      error: null,
      seen: [0],
    });
    state.asked.clear();
    state.failed.clear();
    window.clearTimeout(state.timer);
  }
  useEffect(() => {
    anew();
    state.changes = changes;
  }, [path, changes]);
  useEffect(() => {
    state.isGone = false;
    return () => {
      state.isGone = true;
      window.clearTimeout(state.timer);
    };
  }, []);
  return {
    newest: state.newest,
    error: state.error,
    at: (place) => state.pages.get(Math.floor(place / PAGE))?.page ?? null,
    find: (among) => {
      const newestFirst = [...state.pages].toSorted(([, a], [, b]) => b.generation - a.generation);
      for (const [number, { page }] of newestFirst) {
        const at = among(page);
        if (at >= 0) return number * PAGE + at;
      }
      return null;
    },
    retry: anew,
    need: (first, last) => {
      const numbers: number[] = [];
      for (let number = Math.floor(Math.max(0, first) / PAGE); number <= Math.floor(Math.max(0, last) / PAGE); number++)
        numbers.push(number);
      state.seen = numbers;
      for (const number of numbers) {
        const held = state.pages.get(number);
        if (held?.generation === state.generation || state.asked.has(number) || state.failed.has(number)) continue;
        if (state.newest !== null) void ask(number);
      }
    },
  };
}
