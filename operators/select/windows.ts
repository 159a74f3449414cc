import type { Span, Window } from "../../schemas/dataset.js";

/**
 * The pane that an event time lies in, null before a global window's start. Windows are unions of panes, so that what
 * overlapping windows share is kept once and merged, never computed again. A global window is one pane, number 0.
 */
export function paneOf(window: Window, eventTimeMs: number): number | null {
  if (window.kind === "global") return window.startMs !== undefined && eventTimeMs < window.startMs ? null : 0;
  return Math.floor((eventTimeMs - window.offsetMs) / paneMs(window));
}

/** Event times of a pane, [start, end) */
export function paneSpan(window: Window, pane: number): Span {
  if (window.kind === "global") return { startMs: window.startMs ?? null, endMs: null };
  const length = paneMs(window);
  const startMs = window.offsetMs + pane * length;
  return { startMs, endMs: startMs + length };
}

/** The panes of a span: [first, last + 1). Of a global window always [0, 1). */
export function panesOf(window: Window, span: Span): { first: number; end: number } {
  if (window.kind === "global" || span.startMs === null || span.endMs === null) return { first: 0, end: 1 };
  const length = paneMs(window);
  return {
    first: Math.floor((span.startMs - window.offsetMs) / length),
    end: Math.ceil((span.endMs - window.offsetMs) / length),
  };
}

/** The window that ends first of those that hold an event time; all of a global window. */
export function newestSpan(window: Window, eventTimeMs: number): Span {
  const pane = paneSpan(window, paneOf(window, eventTimeMs) ?? 0);
  if (window.kind === "global" || pane.endMs === null) return pane;
  return { startMs: pane.endMs - window.sizeMs, endMs: pane.endMs };
}

/** The newest window that ends at or before a time; the part of a global window before it. */
export function spanUntil(window: Window, untilMs: number): Span {
  if (window.kind === "global") return { startMs: window.startMs ?? null, endMs: untilMs };
  const everyMs = paneMs(window);
  const endMs = Math.floor((untilMs - window.offsetMs) / everyMs) * everyMs + window.offsetMs;
  return { startMs: endMs - window.sizeMs, endMs };
}

/** The window that starts at a time, null where none does; all of a global window at its start. */
export function spanFrom(window: Window, startMs: number): Span | null {
  if (window.kind === "global") return window.startMs === startMs ? paneSpan(window, 0) : null;
  return (startMs - window.offsetMs) % paneMs(window) === 0 ? { startMs, endMs: startMs + window.sizeMs } : null;
}

/** Whether an event time lies in a span. */
export function isIn(span: Span, eventTimeMs: number): boolean {
  return (span.startMs === null || eventTimeMs >= span.startMs) && (span.endMs === null || eventTimeMs < span.endMs);
}

/**
 * The windows that hold any of these panes, ascending, and end in (afterMs, untilMs], in the order of their ends. A global
 * window never ends.
 */
export function* windowsEnding(
  window: Window,
  panes: Iterable<number>,
  bounds: { readonly afterMs: number; readonly untilMs: number },
): Generator<Span, void, undefined> {
  if (window.kind === "global") return;
  const everyMs = paneMs(window);
  const { sizeMs, offsetMs } = window;
  let lastMs = bounds.afterMs;
  for (const pane of panes) {
    const firstMs = offsetMs + (pane + 1) * everyMs;
    for (let endMs = firstMs; endMs < firstMs + sizeMs && endMs <= bounds.untilMs; endMs += everyMs) {
      if (endMs <= lastMs) continue;
      lastMs = endMs;
      yield { startMs: endMs - sizeMs, endMs };
    }
  }
}

function paneMs(window: Exclude<Window, { kind: "global" }>): number {
  return window.kind === "hopping" ? window.everyMs : window.sizeMs;
}
