import { useEffect, useRef, useState } from "preact/hooks";
import { call, CallError } from "./calls.ts";

export interface Answer<T> {
  /** What was answered last, also while it is asked for anew; null before the first */
  readonly value: T | null;
  readonly error: CallError | null;
  readonly isLoading: boolean;
}

/** How soon a server that is away is asked again, ms */
const AGAIN_MS = 2000;
/** How soon something that is being read is asked for again, ms */
const PENDING_MS = 300;

/** Asks the API, again where the path or `changes` differs, and while what it answers is pending. null asks nothing. */
export function useAnswer<T>(path: string | null, changes = 0): Answer<T> {
  const [state, set] = useState<Answer<T> & { readonly path: string | null }>({
    value: null,
    error: null,
    isLoading: true,
    path: null,
  });
  const latest = useRef<string | null>(null);
  useEffect(() => {
    latest.current = path;
    if (path === null) return;
    const stop = new AbortController();
    let timer = 0;
    const ask = async (): Promise<void> => {
      try {
        const value = await call<T>(path, { signal: stop.signal });
        if (stop.signal.aborted) return;
        set({ value, error: null, isLoading: false, path });
        if (isPending(value)) timer = window.setTimeout(() => void ask(), PENDING_MS);
      } catch (error) {
        if (!(error instanceof CallError)) {
          if (error instanceof DOMException) return;
          throw error;
        }
        if (stop.signal.aborted) return;
        set((before) => ({ value: before.path === path ? before.value : null, error, isLoading: false, path }));
        if (error.status === 0 || error.status === 503) timer = window.setTimeout(() => void ask(), AGAIN_MS);
      }
    };
    set((before) =>
      before.path === path ? { ...before, isLoading: true } : { value: null, error: null, isLoading: true, path },
    );
    void ask();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [path, changes]);
  // Of another path nothing is shown, not for a moment.
  return state.path === path ? state : { value: null, error: null, isLoading: path !== null };
}

function isPending(value: unknown): boolean {
  return typeof value === "object" && value !== null && "pending" in value && value.pending !== null;
}
