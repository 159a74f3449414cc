import assert from "node:assert/strict";
import { test } from "node:test";
import type { OutputStream } from "../../../cli/terminal.js";
import { FullScreen } from "../../../cli/watch/full-screen.js";
import { statusFrame, statusLine, type WatchedStatus } from "../../../cli/watch/status-frame.js";

const SEEN: WatchedStatus = {
  folder: "/sluice-data",
  stream: "images",
  holder: { pid: 7, command: "sluice ingest", sinceMs: 0 },
  atMs: 3_600_000,
  archived: 1200,
  perSecond: 40,
  run: {
    pid: 7,
    startedMs: 0,
    atMs: 3_599_000,
    ended: false,
    stages: {
      fromMs: 3_500_000,
      untilMs: 3_599_000,
      shares: { fetch: 0.1, decode: 0.9, score: 0.5, archive: 0.02, waiting: 0 },
      limits: "decode",
    },
    counts: { appended: 0, scored: 1200, copied: 0, quarantined: 0, lost: 0, sizeBytes: 0 },
    waiting: 400,
  },
  storeAway: null,
  kafka: null,
  log: null,
  logDamage: null,
  teachers: [
    {
      digest: "ab".repeat(32),
      name: "net",
      waiting: 400,
      frontier: [],
      quarantined: { E_IMAGE_EMPTY: 3 },
      lost: [],
      datasets: [
        {
          name: "flowers",
          span: { startMs: null, endMs: null },
          fill: { full: 7, starving: 3, classes: 10 },
          starving: [
            { label: "rose", count: 1 },
            { label: "tulip", count: 4 },
          ],
          trigger: { fired: false, why: "1,200 of 2,000 images have come" },
          records: { in: 1200, scored: 1200, copied: 0, quarantined: 0, lost: 0 },
          engines: [],
          late: null,
          newest: null,
          damaged: [],
        },
      ],
    },
  ],
} as unknown as WatchedStatus;

test("the screen says rate, lag, what limits and what to add, how full the classes are, and what a trigger waits for", () => {
  const text = statusFrame(SEEN, 100).join("\n");
  assert.match(text, /^sluice {2}01:00:00 UTC {2}q quits {2}\/sluice-data {2}stream images {2}sluice ingest, pid 7$/m);
  assert.match(text, /^rate {8}40\/s$/m);
  assert.match(text, /^waiting {5}400, 10 s at this rate$/m);
  assert.match(text, /^decode {4}▸ █+░+ 90 %$/m);
  assert.match(text, /^decode limits: add decoders/m);
  assert.match(text, /flowers {2}█+░+ 7 of 10 classes full/);
  assert.match(text, /starving {2}rose 1, tulip 4$/m);
  assert.match(text, /trigger {3}waits: 1,200 of 2,000 images have come$/m);
  assert.match(text, /quarantined 3$/m);
});

test("without a screen the same is one line", () => {
  const line = statusLine(SEEN);
  assert.doesNotMatch(line, /\n/);
  assert.match(
    line,
    /^1970-01-01T01:00:00\.000Z {2}archived 1,200 {2}rate 40\/s {2}waiting 400, 10 s at this rate {2}decode limits {2}flowers 7\/10 full, no version, not due: /,
  );
});

test("a run that has ended, or says nothing any more, limits nothing; a store that is away is said", () => {
  const silent = { ...SEEN, run: { ...SEEN.run!, atMs: 0 }, storeAway: "It does not answer." };
  const text = statusFrame(silent, 100).join("\n");
  assert.match(text, /no run in this data folder just now/);
  assert.match(text, /store: cannot be read\. It does not answer\./);
  assert.doesNotMatch(statusLine(silent), /limits/);
});

test("a pause is said, by whom and why", () => {
  const control = { number: 3, want: "pause", by: "anna", reason: "disk is full", atMs: 0 } as const;
  const text = statusFrame({ ...SEEN, control }, 100).join("\n");
  assert.match(text, /^Paused by anna at 1970-01-01T00:00:00\.000Z: disk is full\.$/m);
});

test("where there are more lines than rows, the last row says which are shown, and keys move them", () => {
  let said = "";
  const screen = new FullScreen({
    rows: 4,
    columns: 40,
    write: (text: string) => (said = text),
  } as unknown as OutputStream);
  const lines = ["one", "two", "three", "four", "five", "six"];
  const shown = (): string[] => said.replace(/\u001b\[\??\d*[A-Za-z]/g, "").split("\r\n");
  screen.draw(lines);
  assert.deepEqual(shown(), ["one", "two", "three", "lines 1 to 3 of 6  ↑ ↓ move"]);
  screen.scroll(2);
  assert.deepEqual(shown(), ["three", "four", "five", "lines 3 to 5 of 6  ↑ ↓ move"]);
  screen.scroll(99);
  assert.deepEqual(shown().slice(0, 3), ["four", "five", "six"]);
  screen.scroll(-99);
  screen.draw(lines.slice(0, 4));
  assert.deepEqual(shown(), ["one", "two", "three", "four"]);
});
