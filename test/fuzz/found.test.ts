import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { foreignLabels } from "../../pipelines/versions/label-file.js";
import { isSluiceError, orNull } from "../../schemas/errors.js";
import { ROOT } from "../architecture/repository.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";
import { uniform } from "../fixtures/seeded-weights.js";
import { mutateBytes, mutateJson } from "./mutate.js";
import { ARROW } from "./targets/arrow.js";
import { KAFKA_RECORDS } from "./targets/records.js";

/** Inputs that ended a process, or kept it for ever, when they were found */
const FOUND = join(ROOT, "test", "fixtures", "fuzz");
const found = (prefix: string): Buffer[] =>
  readdirSync(FOUND)
    .filter((name) => name.startsWith(prefix))
    .map((name) => readFileSync(join(FOUND, name)));

test("records that ended a reader are refused: a body of negative length, which Arrow reads without end", async (t) => {
  const { run } = await KAFKA_RECORDS.prepare(await temporaryFolder(t));
  const inputs = found("kafka-records");
  assert.ok(inputs.length > 0);
  for (const input of inputs) await orNull(run(input), "E_RECORD_SCHEMA");
});

test("a segment whose batch says lengths beyond its bytes, or is none, is refused: Arrow reads it without end", async () => {
  const inputs = found("arrow");
  assert.ok(inputs.length > 0);
  const { run } = await ARROW.prepare("");
  for (const input of inputs) await assert.rejects(run(input), (error) => isSluiceError(error, "E_SEGMENT_CORRUPT"));
});

test("a Parquet file of labels whose lengths never end is given up, and the process goes on", async () => {
  const [bytes] = found("parquet");
  await assert.rejects(
    foreignLabels(bytes!, "parquet", { where: "labels.parquet", withinMs: 500 }),
    (error) => isSluiceError(error, "E_USAGE") && /labels\.parquet/.test(error.message),
  );
});

test("the same seed changes bytes and JSON in the same way, and does change them", () => {
  const json = Buffer.from('{"a": [1, {"b": "c"}], "d": null}');
  for (const mutate of [
    (next: () => number) => mutateBytes(next, json, json),
    (next: () => number) => mutateJson(next, json),
  ]) {
    const made = Array.from({ length: 50 }, (_, seed) => Buffer.from(mutate(uniform(seed))));
    for (const [seed, bytes] of made.entries()) assert.deepEqual(Buffer.from(mutate(uniform(seed))), bytes);
    assert.ok(new Set(made.map((bytes) => bytes.toString("hex"))).size > 30);
  }
});
