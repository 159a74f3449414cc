import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { test } from "node:test";
import { openProgress } from "../../../cli/progress/progress.js";
import { progressBlock, progressLine } from "../../../cli/progress/progress-text.js";
import type { ProgressEvent } from "../../../schemas/progress.js";
import { recordedTerminal } from "../recorded-terminal.js";

const event = (phase: string, done: number, more: Partial<ProgressEvent> = {}): ProgressEvent => ({
  phase,
  done,
  total: 30_000,
  scored: done,
  copied: 0,
  kept: 0,
  quarantined: 0,
  ...more,
});

const full: ProgressEvent = {
  phase: "score",
  done: 13_021,
  total: 30_000,
  scored: 12_800,
  copied: 150,
  kept: 4211,
  quarantined: 71,
  fill: { full: 7, starving: 3, classes: 10 },
  bytesPerS: 10 * 1024 * 1024,
};

test("a line says how far, how fast, how long still, what became of the images and how full the classes are", () => {
  assert.equal(
    progressLine({ event: full, perSecond: 214.2, remainingMs: 79_280 }),
    "score 13,021 of 30,000 (43 %), 214/s, 1 min 19 s left, 10.0 MiB/s; " +
      "scored 12,800, copied 150, kept 4,211, quarantined 71; 7 of 10 classes full",
  );
  assert.equal(
    progressLine({ event: event("list", 12, { total: null, scored: 0 }), perSecond: null, remainingMs: null }),
    "list 12",
  );
});

test("without a checkpoint nobody knows what is kept, and nothing is said of it; full classes are said with what they keep", () => {
  const line = (more: Partial<ProgressEvent>): string =>
    progressLine({ event: event("score", 800, more), perSecond: null, remainingMs: null });
  assert.equal(line({}), "score 800 of 30,000 (2 %); scored 800, quarantined 0");
  const fill = { full: 10, starving: 0, classes: 10 };
  assert.match(line({ kept: 50, fill }), /; scored 800, kept 50, quarantined 0; 10 of 10 classes full$/);
  assert.doesNotMatch(line({ fill: { full: 0, starving: 10, classes: 10 } }), /kept/);
});

test("99.99 % is not yet done, and an empty total is", () => {
  const at = (done: number, total: number): string =>
    progressLine({ event: event("cut", done, { total, scored: 0 }), perSecond: null, remainingMs: null });
  assert.equal(at(29_999, 30_000), "cut 29,999 of 30,000 (99 %)");
  assert.equal(at(0, 0), "cut 0 of 0 (100 %)");
});

test("the block has three lines with a bar for the work and one for the classes", () => {
  const [far, counts, classes] = progressBlock({ event: full, perSecond: 214, remainingMs: 79_000 });
  assert.equal(far, "score    [██████████░░░░░░░░░░░░░░]  43 %  13,021 of 30,000  214/s  1 min 19 s left  10.0 MiB/s");
  assert.equal(counts, "         scored 12,800  copied 150  kept 4,211  quarantined 71");
  assert.equal(classes, "classes  [█████████████████░░░░░░░] 7 of 10 classes full");
});

test("away from a terminal: the first and last line of each phase, and one every five seconds", () => {
  const terminal = recordedTerminal();
  const reporter = openProgress("lines", terminal.stderr, terminal.nowMs);
  for (let second = 0; second <= 12; second++) {
    terminal.atMs = second * 1000;
    reporter.onProgress(event("score", second * 100));
    if (second === 3) reporter.note("a note");
  }
  reporter.onProgress(event("cut", 0, { total: 4, scored: 0 }));
  reporter.onProgress(event("cut", 4, { total: 4, scored: 0 }));
  reporter.close();
  const lines = terminal.stderr.text.trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) =>
      line
        .split(/[ ,;]+/)
        .slice(0, 2)
        .join(" "),
    ),
    ["score 0", "a note", "score 500", "score 1", "score 1", "cut 0", "cut 4"],
  );
  assert.match(lines[3]!, /^score 1,000 of 30,000 \(3 %\), 100\/s, 4 min 50 s left/);
  assert.match(lines[4]!, /^score 1,200 /);
});

test("as JSON: one object a line, with rate and time left", () => {
  const terminal = recordedTerminal();
  const reporter = openProgress("json", terminal.stderr, terminal.nowMs);
  reporter.onProgress(event("score", 0));
  terminal.atMs = 1000;
  reporter.onProgress(event("score", 10));
  reporter.close();
  const objects = terminal.stderr.text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  assert.deepEqual(objects, [
    { type: "progress", progress: { ...event("score", 0), perSecond: null, remainingMs: null } },
    { type: "progress", progress: { ...event("score", 10), perSecond: 10, remainingMs: 2_999_000 } },
  ]);
});

test("on a terminal: the block is redrawn, notes stay whole, the cursor comes back, late events draw nothing", () => {
  const terminal = recordedTerminal({ isTTY: true });
  const reporter = openProgress("block", terminal.stderr, terminal.nowMs);
  reporter.onProgress(event("score", 100));
  reporter.note("a note");
  terminal.atMs = 1000;
  reporter.onProgress(event("cut", 1, { total: 4 }));
  reporter.close();
  const drawn = terminal.stderr.text;
  reporter.onProgress(event("late", 1));
  reporter.close();
  assert.equal(terminal.stderr.text, drawn);
  assert.match(drawn, /\u001b\[\?25l/, "hides the cursor");
  assert.match(drawn, /\u001b\[\?25h/, "shows it again");
  assert.match(drawn, /\u001b\[\?7h/, "wraps lines again");
  const lines = stripVTControlCharacters(drawn).split("\n");
  assert.ok(lines.includes("a note"));
  assert.ok(
    lines.some((line) => line.startsWith("score 100 of 30,000")),
    "a finished phase leaves its line",
  );
  assert.ok(lines.some((line) => line.startsWith("cut      [██████░")));
});

test("none: events show nothing, notes still do", () => {
  const terminal = recordedTerminal();
  const reporter = openProgress("none", terminal.stderr, terminal.nowMs);
  reporter.onProgress(event("score", 1));
  reporter.note("stopping");
  reporter.close();
  assert.equal(terminal.stderr.text, "stopping\n");
});
