import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { CommandFolder, ENGINE } from "../fixtures/command-folder.js";
import { until } from "../fixtures/scraped.js";
import { recordedTerminal } from "./recorded-terminal.js";

interface Shown {
  readonly offset: number;
  readonly class?: string;
  readonly classes?: readonly {
    readonly class: string;
    readonly probability: number;
    readonly least?: number | null;
    readonly images?: number;
  }[];
  readonly code?: string;
  readonly number?: number;
  readonly rows?: number;
  readonly dataset?: string;
  readonly verdict?: string;
  readonly by?: string | null;
}

describe("sluice tap", () => {
  let place: CommandFolder;
  before(async () => {
    place = await CommandFolder.make({ images: 12, duplicates: 2, broken: 3 });
    await place.ingest("--teacher", "teacher", "--k", "4", "--p", "2");
  });
  after(() => place.remove());

  async function shown(...args: string[]): Promise<Shown[]> {
    const { code, out, err } = await place.sluice("tap", ...args, "--from-start", "--json");
    assert.equal(code, 0, err);
    return out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Shown);
  }

  test("shows what passed each stage, as much as is asked for", async () => {
    const images = await shown("images", "--limit", "17");
    assert.deepEqual(
      images.map(({ offset }) => offset),
      Array.from({ length: 17 }, (_, at) => at),
    );
    const scores = await shown("scores", "--limit", "14");
    for (const { classes } of scores) {
      const probabilities = classes!.map(({ probability }) => probability);
      assert.deepEqual(
        probabilities,
        probabilities.toSorted((a, b) => b - a),
      );
      assert.ok(probabilities[0]! <= 1);
    }
    const quarantined = await shown("quarantine", "--limit", "3");
    // Each record is in one of the two.
    const offsets = [...scores, ...quarantined].map(({ offset }) => offset).sort((a, b) => a - b);
    assert.deepEqual(
      offsets,
      Array.from({ length: 17 }, (_, at) => at),
    );
    const [version] = await shown("versions", "--limit", "1");
    assert.equal(version!.number, 1);

    const [thresholds] = await shown("thresholds", "--limit", "1");
    assert.deepEqual([thresholds!.classes!.length, thresholds!.dataset], [10, "default"]);
    const ranked = thresholds!.classes!.map((one) => one.images!);
    assert.equal(
      ranked.reduce((sum, one) => sum + one, 0),
      2 * 12,
      "each image in its two best classes",
    );
    for (const one of thresholds!.classes!) assert.equal(one.least !== null, one.images === 12, "K and a reserve of 8");

    const name = scores[0]!.classes![0]!.class;
    const candidates = await shown("candidates", "--limit", "1", "--class", name);
    assert.deepEqual([candidates[0]!.class, candidates[0]!.offset], [name, scores[0]!.offset]);
  });

  test("shows what people said, as versions come to heed it", async () => {
    const name = (await shown("scores", "--limit", "1"))[0]!.classes![0]!.class;
    assert.equal((await place.sluice("label", "not", name, "ab".repeat(32), "--by", "anna")).code, 0);
    assert.equal((await place.sluice("label", "duplicate", "cd".repeat(32))).code, 0);
    const said = await shown("labels", "--limit", "2");
    assert.deepEqual(
      said.map(({ verdict, class: of, by }) => [verdict, of, by]),
      [
        ["not", name, "anna"],
        ["duplicate", null, null],
      ],
    );
    const { out } = await place.sluice("tap", "labels", "--from-start", "--limit", "1", "--class", name);
    assert.match(out, new RegExp(`anna: not ${name}  (ab){32}`));
  });

  test("a stage or class that there is not is said with what there is", async () => {
    const stage = await place.sluice("tap", "scroes");
    assert.equal(stage.code, 2);
    assert.match(stage.err, /images, scores, candidates, quarantine, labels, thresholds, versions/);
    const unknown = await place.sluice("tap", "scores", "--class", "unicorn");
    assert.equal(unknown.code, 2);
    assert.match(unknown.err, /E_USAGE: Expected a class that a teacher has, found "unicorn"\. There are /);
  });

  test("beside a following ingest it shows what comes from then on, and Ctrl-C ends both in order", async () => {
    const terminal = { ...recordedTerminal({ folder: place.path }), nowMs: Date.now };
    const tapping = runProgram(["--no-progress", "tap", "scores"], terminal);
    // It has taken its place once it could be stopped.
    await until(() => (terminal.signals.listenerCount("SIGINT") > 0 ? true : null), "the tap");
    const more = await CommandFolder.make({ images: 5 });
    try {
      let done = false;
      const ingesting = (async () => {
        // Again and again: the first may be archived before the tap has looked.
        for (let seed = 0; !done; seed++) {
          const other = await CommandFolder.make({ images: 3 + seed });
          const { code, err } = await place.sluice("ingest", `${other.path}/pictures`, ...ENGINE, "--no-publish");
          await other.remove();
          assert.equal(code, 0, err);
        }
      })();
      await until(
        () => (/^0\/\d+ {2}\S+ \d\.\d{3}, /m.test(terminal.stdout.text) ? true : null),
        "an image that passes",
      );
      done = true;
      await ingesting;
    } finally {
      await more.remove();
    }
    terminal.signals.emit("SIGINT");
    assert.equal(await tapping, 0);
  });
});
