import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isIn, newestSpan, paneOf, panesOf, paneSpan, windowsEnding } from "../../../operators/select/windows.js";
import { windowSchema, type Span } from "../../../schemas/dataset.js";

const windows = fc.oneof(
  fc
    .record({ sizeMs: fc.integer({ min: 1, max: 50 }), offsetMs: fc.integer({ min: -20, max: 20 }) })
    .map((shape) => windowSchema.parse({ kind: "tumbling", ...shape })),
  fc
    .record({
      everyMs: fc.integer({ min: 1, max: 20 }),
      panes: fc.integer({ min: 1, max: 6 }),
      offsetMs: fc.integer({ min: -20, max: 20 }),
    })
    .map(({ everyMs, panes, offsetMs }) =>
      windowSchema.parse({ kind: "hopping", everyMs, sizeMs: everyMs * panes, offsetMs }),
    ),
);
const time = fc.integer({ min: -200, max: 200 });

/** Every window that begins on a multiple, by trying them all. */
function allWindows(window: ReturnType<typeof windowSchema.parse>): Span[] {
  if (window.kind === "global") return [];
  const every = window.kind === "hopping" ? window.everyMs : window.sizeMs;
  const spans: Span[] = [];
  for (let at = -500; at <= 500; at++) {
    const startMs = at * every + window.offsetMs;
    spans.push({ startMs, endMs: startMs + window.sizeMs });
  }
  return spans;
}

test("a pane holds an event time exactly when its span does, and a window is its panes", () => {
  fc.assert(
    fc.property(windows, time, (window, timeMs) => {
      const pane = paneOf(window, timeMs)!;
      assert.ok(isIn(paneSpan(window, pane), timeMs));
      assert.ok(!isIn(paneSpan(window, pane + 1), timeMs));
      assert.ok(!isIn(paneSpan(window, pane - 1), timeMs));
      for (const span of allWindows(window).filter((one) => Math.abs(one.startMs!) < 300)) {
        const { first, end } = panesOf(window, span);
        assert.equal(isIn(span, timeMs), pane >= first && pane < end);
      }
    }),
    { numRuns: 40 },
  );
});

test("windows that end are those that hold an event time and end in the range, in order", () => {
  fc.assert(
    fc.property(windows, fc.array(time, { maxLength: 6 }), time, time, (window, times, a, b) => {
      const bounds = { afterMs: Math.min(a, b), untilMs: Math.max(a, b) };
      const expected = allWindows(window).filter(
        (span) =>
          span.endMs! > bounds.afterMs && span.endMs! <= bounds.untilMs && times.some((timeMs) => isIn(span, timeMs)),
      );
      const panes = [...new Set(times.map((timeMs) => paneOf(window, timeMs)!))].sort((x, y) => x - y);
      assert.deepEqual([...windowsEnding(window, panes, bounds)], expected);
    }),
    { numRuns: 300 },
  );
});

test("the newest span holds the event time and ends first", () => {
  fc.assert(
    fc.property(windows, time, (window, timeMs) => {
      const holding = allWindows(window).filter((span) => isIn(span, timeMs));
      assert.deepEqual(newestSpan(window, timeMs), holding[0]);
    }),
  );
});

test("a global window is one pane without an end, from its start on", () => {
  const window = windowSchema.parse({ kind: "global", startMs: 100 });
  assert.equal(paneOf(window, 99), null);
  assert.equal(paneOf(window, 100), 0);
  assert.deepEqual(paneSpan(window, 0), { startMs: 100, endMs: null });
  assert.deepEqual([...windowsEnding(window, [0], { afterMs: 0, untilMs: 2000 })], []);
});
