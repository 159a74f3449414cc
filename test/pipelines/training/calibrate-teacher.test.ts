import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { uniform } from "../../fixtures/seeded-weights.js";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { calibrateTeacher, type CalibratedTeacher } from "../../../pipelines/training/calibrate-teacher.js";
import { decodeSchema, engineSchema } from "../../../schemas/config.js";
import { isSluiceError, type ErrorCode } from "../../../schemas/errors.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { smallNetProbabilities } from "../../fixtures/small-net.js";
import { squarePixels, writeSquare } from "../../fixtures/square-pictures.js";

const SIDE = 16;
const COUNT = 240;
/** The temperature that the labels are drawn with */
const DRAWN = 3;

describe("calibrating a teacher", () => {
  let folder: string;
  /** Log-probabilities of the pictures by the oracle, and their labels */
  const logits: number[][] = [];
  const labels: number[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-calibrate-"));
    const next = uniform(17);
    const csv = ["path,label"];
    for (let at = 0; at < COUNT; at++) {
      const pixels = squarePixels(SIDE, 100 + at);
      const row = [...smallNetProbabilities({}, pixels, 1)].map(Math.log);
      const weights = row.map((value) => Math.exp(value / DRAWN));
      let left = next() * weights.reduce((a, b) => a + b);
      const label = weights.findIndex((weight) => (left -= weight) < 0);
      logits.push(row);
      labels.push(label);
      const path = `class-${label}/${String(at).padStart(3, "0")}.png`;
      await writeSquare(join(folder, "labelled"), path, SIDE, pixels);
      csv.push(at % 2 === 0 ? `labelled/${path},class-${label}` : `"labelled/${path}","class-${label}"`);
    }
    await writeFile(join(folder, "labelled", "class-0", "broken.png"), "no picture");
    csv.push("labelled/class-0/broken.png,class-0", "");
    await writeFile(join(folder, "set.csv"), csv.join("\r\n"));
  });
  after(() => rm(folder, { recursive: true }));

  const calibrate = async (labelled: string, write = true): Promise<CalibratedTeacher> => {
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    return calibrateTeacher({
      teacher: join(folder, "teacher"),
      labelled,
      write,
      engine: engineSchema.parse({ workers: 1, batch: 32 }),
      decode: decodeSchema.parse({}),
      decoder: openSharpDecoder(),
    });
  };
  const refused = (labelled: string, code: ErrorCode, message: RegExp): Promise<void> =>
    assert.rejects(calibrate(labelled), (error) => {
      assert.ok(isSluiceError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });

  const oracleNll = (temperature: number): number =>
    logits.reduce((sum, row, at) => {
      const total = row.reduce((all, z) => all + Math.exp(z / temperature), 0);
      return sum - row[labels[at]!]! / temperature + Math.log(total);
    }, 0) / COUNT;

  test("finds the temperature that the oracle finds by trying them all, and writes it into the card", async () => {
    const outcome = await calibrate(join(folder, "labelled"));
    const grid = Array.from({ length: 2000 }, (_, at) => 0.1 * 1.003 ** at).filter((value) => value < 20);
    const best = grid.reduce((a, b) => (oracleNll(b) < oracleNll(a) ? b : a));
    assert.ok(Math.abs(outcome.after.temperature / best - 1) < 0.005, `${outcome.after.temperature}, not ${best}`);
    assert.ok(Math.abs(outcome.before.nll - oracleNll(1)) < 1e-3);
    assert.ok(Math.abs(outcome.after.nll - oracleNll(outcome.after.temperature)) < 1e-3);
    assert.ok(outcome.after.nll < outcome.before.nll);
    assert.ok(outcome.after.ece < outcome.before.ece);
    assert.equal(outcome.count, COUNT);
    const right = logits.filter((row, at) => row.indexOf(Math.max(...row)) === labels[at]).length;
    assert.equal(outcome.accuracy, right / COUNT);
    assert.deepEqual(
      outcome.skipped.map(({ code }) => code),
      ["E_IMAGE_FORMAT"],
    );
    const { card } = await loadTeacher(join(folder, "teacher"));
    assert.equal(card.temperature, outcome.after.temperature);
    assert.equal(teacherDigest(card), outcome.digests.after);
    assert.notEqual(outcome.digests.after, outcome.digests.before);
  });

  test("a CSV of the same images gives the same; a dry run leaves the card alone", async () => {
    const byFolder = await calibrate(join(folder, "labelled"), false);
    const card = await readFile(join(folder, "teacher", "model-card.json"), "utf8");
    const byCsv = await calibrate(join(folder, "set.csv"), false);
    assert.equal(byCsv.count, COUNT);
    assert.equal(byCsv.after.temperature, byFolder.after.temperature);
    assert.equal(await readFile(join(folder, "teacher", "model-card.json"), "utf8"), card);
  });

  test("a set that cannot be used is refused with its reason", async () => {
    const few = join(folder, "few", "class-1");
    await mkdir(few, { recursive: true });
    await writeSquare(few, "one.png", SIDE, squarePixels(SIDE, 1));
    await refused(join(folder, "few"), "E_TRAIN_DATA", /at least 10 labelled images.*found 1/);
    const other = join(folder, "other", "class-77");
    await writeSquare(other, "one.png", SIDE, squarePixels(SIDE, 1));
    await refused(join(folder, "other"), "E_TRAIN_DATA", /labels in the subfolders of .*found "class-77"/);
    const csv = async (text: string): Promise<string> => {
      await writeFile(join(folder, "wrong.csv"), text);
      return join(folder, "wrong.csv");
    };
    await refused(await csv("path,label\na.png\n"), "E_TRAIN_DATA", /wrong\.csv:2, found "a\.png"/);
    await refused(
      await csv("a.png,nothing\n"),
      "E_TRAIN_DATA",
      /labels in .*wrong\.csv:1 \(no head such as path,label\), found "nothing"/,
    );
    await refused(join(folder, "absent.csv"), "E_SOURCE_READ", /absent\.csv/);
  });
});
