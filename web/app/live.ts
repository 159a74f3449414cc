import { useEffect, useState } from "preact/hooks";
import type { Live } from "../../schemas/api/flow.ts";

export interface Watched {
  readonly live: Live | null;
  /** ms since the epoch of the last that was heard; null before the first */
  readonly heardMs: number | null;
  readonly isOpen: boolean;
  /** Counts up where something was published, said or read: what is shown is asked for again */
  readonly changes: number;
}

let watched: Watched = { live: null, heardMs: null, isOpen: false, changes: 0 };
const listeners = new Set<() => void>();
let source: EventSource | null = null;

function tell(next: Partial<Watched>): void {
  watched = { ...watched, ...next };
  for (const listener of listeners) listener();
}

/** What pages show of versions, labels and archived records, as one text: where it differs they ask again. */
function markOf(live: Live | null): string {
  return live === null ? "" : JSON.stringify([live.versions, live.labels]);
}

function open(): void {
  source = new EventSource("/api/events");
  source.addEventListener("live", (event) => {
    const live = JSON.parse((event as MessageEvent<string>).data) as Live;
    const isNew = watched.live !== null && markOf(live) !== markOf(watched.live);
    tell({ live, heardMs: Date.now(), isOpen: true, changes: watched.changes + (isNew ? 1 : 0) });
  });
  source.addEventListener("open", () => {
    tell({ isOpen: true, heardMs: Date.now(), changes: watched.changes + (watched.heardMs === null ? 0 : 1) });
  });
  source.addEventListener("read", () => {
    tell({ changes: watched.changes + 1 });
  });
  source.addEventListener("error", () => {
    if (watched.isOpen || watched.heardMs === null) tell({ isOpen: false, heardMs: watched.heardMs ?? Date.now() });
    // A browser gives up on an answer that is no stream, such as that of a proxy before a server that starts again.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(open, 1000);
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
    if (source === null) open();
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return watched;
}
