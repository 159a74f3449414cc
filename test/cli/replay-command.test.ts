import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { boundArgument, offsetArgument, replayAsk } from "../../cli/replay-arguments.js";
import { runProgram } from "../../cli/program.js";
import { isSluiceError } from "../../schemas/errors.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";
import { recordedTerminal } from "./recorded-terminal.js";

test("places to begin and to end are times, the log's ends, or offsets", () => {
  assert.deepEqual(boundArgument("start"), { at: "start" });
  assert.deepEqual(boundArgument("2026-11-01"), { at: "time", timeMs: Date.UTC(2026, 10, 1) });
  assert.throws(() => boundArgument("1200"), /Expected start, now/);
  assert.deepEqual(offsetArgument("3:1200", offsetArgument("7", undefined)), [
    { partition: null, offset: 7 },
    { partition: 3, offset: 1200 },
  ]);
  for (const wrong of ["3:", ":4", "-1", "1.5", "a:1"]) assert.throws(() => offsetArgument(wrong, undefined));
  assert.deepEqual(replayAsk({}), { from: { at: "start" }, until: { at: "now" } });
  assert.deepEqual(
    replayAsk({
      from: { at: "now" },
      fromOffset: [{ partition: 1, offset: 5 }],
      untilOffset: [
        { partition: 1, offset: 9 },
        { partition: 2, offset: 8 },
      ],
    }),
    {
      from: { at: "now" },
      until: { at: "now" },
      partitions: new Map([
        [1, { from: { at: "offset", offset: 5 }, until: { at: "offset", offset: 9 } }],
        [2, { until: { at: "offset", offset: 8 } }],
      ]),
    },
  );
  const both = { from: { at: "start" }, fromOffset: [{ partition: null, offset: 3 }] } as const;
  const twice = {
    untilOffset: [
      { partition: 1, offset: 3 },
      { partition: 1, offset: 4 },
    ],
  };
  for (const flags of [both, twice])
    assert.throws(
      () => replayAsk(flags),
      (error) => isSluiceError(error, "E_USAGE"),
    );
});

test("a dry run says what a replay then does; a second one has nothing to do", async (t) => {
  const root = await temporaryFolder(t);
  const pictures = join(root, "pictures");
  await writePictures(pictures, { images: 20, duplicates: 2, broken: 1 });
  for (const [name, seed] of [
    ["a", 1],
    ["b", 2],
  ] as const)
    await writeSmallTeacher(join(root, name), "onnx", { classes: 4, output: "logits", seed });
  const sluice = async (...args: string[]): Promise<{ code: number; said: Record<string, unknown> }> => {
    const terminal = recordedTerminal({ folder: root });
    terminal.atMs = Date.now();
    const code = await runProgram(["--json", ...args], terminal);
    return { code, said: JSON.parse(terminal.stdout.text) as Record<string, unknown> };
  };
  assert.equal((await sluice("ingest", pictures, "--teacher", "a", "--p", "1")).code, 0);
  const part = ["replay", "--teacher", "b", "--until-offset", "15"];
  const planned = (await sluice(...part, "--dry-run")).said;
  const chain = { partition: 0, origin: 0, end: 15, position: 0, isNew: true };
  assert.deepEqual(planned["chains"], [chain]);
  assert.deepEqual((await sluice(...part, "--dry-run")).said, planned, "a dry run writes nothing");
  const done = await sluice(...part);
  assert.deepEqual([done.code, done.said["chains"], done.said["left"]], [0, [chain], 0]);
  const rest = (await sluice("replay", "--teacher", "b")).said;
  const counts = [done.said, rest].map((said) => said["counts"] as Record<string, number>);
  const sums = ["scored", "copied", "quarantined", "lost"].map((name) => counts[0]![name]! + counts[1]![name]!);
  assert.deepEqual(sums, [20, 2, 1, 0]);
  assert.deepEqual((await sluice("replay", "--teacher", "b")).said["offsets"], { asked: 23, archived: 23, live: 0 });
  assert.equal((await sluice("replay", "--teacher", "b", "--yield-to-lag", "5")).code, 2);
  assert.equal((await sluice("replay", "--teacher", "a")).said["left"], 0);
});
