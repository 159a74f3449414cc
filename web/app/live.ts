import { useEffect, useState } from "preact/hooks";
import type { Live } from "../../schemas/api/flow.ts";
import { call, CallError } from "./calls.ts";

export interface Watched {
  readonly live: Live | null;
  /** ms since the epoch of the last that was heard; null before the first */
  readonly heardMs: number | null;
  readonly isOpen: boolean;
  /** Counts up where something was published, said or read: what is shown is asked for again */
  readonly changes: number;
  /** Counts up where a server that was away is there again: pictures that did not come are asked for again */
  readonly returns: number;
  /** Why a server that is there refuses this page, such as for a token of before; null: it does not */
  readonly refused: string | null;
}

let watched: Watched = { live: null, heardMs: null, isOpen: false, changes: 0, returns: 0, refused: null };
const listeners = new Set<() => void>();
let source: EventSource | null = null;
let timer = 0;
/** How soon a server that gave no stream is tried again, ms */
const AGAIN_MS = 1000;

function tell(next: Partial<Watched>): void {
  watched = { ...watched, ...next };
  for (const listener of listeners) listener();
}

/** What pages show of versions, labels and archived records, as one text: where it differs they ask again. */
function markOf(live: Live | null): string {
  return live === null ? "" : JSON.stringify([live.versions, live.labels]);
}

/** Why the server gives no stream, where it is there. A stream that fails says nothing of it. */
async function askWhy(): Promise<void> {
  try {
    await call("/api/overview");
    tell({ refused: null });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    tell({ refused: error.status === 401 || error.status === 403 || error.status === 421 ? error.message : null });
  }
}

/** A browser has six connections to a host: a page that nobody sees takes none of them, or six pages would stop all. */
function openWhereSeen(): void {
  window.clearTimeout(timer);
  if (document.visibilityState === "hidden") {
    source?.close();
    source = null;
  } else if (source === null) open();
}

function open(): void {
  source = new EventSource("/api/events");
  source.addEventListener("live", (event) => {
    const live = JSON.parse((event as MessageEvent<string>).data) as Live;
    const isNew = watched.live !== null && markOf(live) !== markOf(watched.live);
    tell({ live, heardMs: Date.now(), isOpen: true, changes: watched.changes + (isNew ? 1 : 0) });
  });
  source.addEventListener("open", () => {
    const isAgain = watched.heardMs !== null;
    tell({
      isOpen: true,
      heardMs: Date.now(),
      changes: watched.changes + (isAgain ? 1 : 0),
      returns: watched.returns + (isAgain && !watched.isOpen ? 1 : 0),
      refused: null,
    });
  });
  source.addEventListener("read", () => {
    tell({ changes: watched.changes + 1 });
  });
  source.addEventListener("error", () => {
    if (watched.isOpen || watched.heardMs === null) tell({ isOpen: false, heardMs: watched.heardMs ?? Date.now() });
    // A browser gives up on an answer that is no stream, such as that of a proxy before a server that starts again.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      timer = window.setTimeout(openWhereSeen, AGAIN_MS);
      void askWhy();
    }
  });
}

/** Something was said or changed by this page itself. */
export function noteChange(): void {
  tell({ changes: watched.changes + 1 });
}

/** What the server sends every second. One connection a page. */
export function useLive(): Watched {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = (): void => {
      redraw((count) => count + 1);
    };
    listeners.add(listener);
    openWhereSeen();
    document.addEventListener("visibilitychange", openWhereSeen);
    return () => {
      listeners.delete(listener);
      document.removeEventListener("visibilitychange", openWhereSeen);
    };
  }, []);
  return watched;
}

/** How often the server has come back; a part that shows it is drawn anew where it does. */
export function useReturns(): number {
  const [returns, set] = useState(watched.returns);
  useEffect(() => {
    const listener = (): void => {
      set(watched.returns);
    };
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return returns;
}
