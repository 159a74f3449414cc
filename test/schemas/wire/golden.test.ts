import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { isSluiceError } from "../../../schemas/errors.js";
import { decodeImageRecord, type LogRecord, type StoredRecord } from "../../../schemas/image-record.js";
import { shardOfClass } from "../../../schemas/shard.js";
import { decodeCandidates, encodeCandidates } from "../../../schemas/wire/candidates.js";
import { decodeLabel } from "../../../schemas/wire/labels.js";
import { decodePublished } from "../../../schemas/wire/published.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { decodeThresholds, forgetThresholds } from "../../../schemas/wire/thresholds.js";
import { ROOT } from "../../architecture/repository.js";
import {
  CANDIDATES,
  goldenRecords,
  LABEL,
  NO_CANDIDATES,
  PUBLISHED,
  PUBLISHED_WITH_DELTA,
  QUARANTINED,
  THRESHOLDS,
} from "./golden-records.js";

const FOLDER = join(ROOT, "test/fixtures/wire");
const PLACE = { topic: "t", partition: 0 };

const DECODERS: Readonly<Record<string, (record: StoredRecord) => unknown>> = {
  candidates: (record) => decodeCandidates(record, PLACE),
  "candidates-empty": (record) => decodeCandidates(record, PLACE),
  "image-inline": (record) => decodeImageRecord(record, { stream: "images", partition: 0 }),
  "image-reference": (record) => decodeImageRecord(record, { stream: "images", partition: 0 }),
  labels: (record) => decodeLabel(record, PLACE),
  quarantine: (record) => decodeQuarantined(record, PLACE),
  thresholds: (record) => decodeThresholds(record, PLACE),
  versions: (record) => decodePublished(record, PLACE),
};

const IMAGE = { uri: "s3://photographs/ü.jpg", eventTimeMs: 1_793_000_000_000 };
const EXPECTED: Readonly<Record<string, unknown>> = {
  "candidates-2": CANDIDATES,
  "candidates-empty-2": NO_CANDIDATES,
  "image-inline-1": {
    ...IMAGE,
    bytes: Buffer.of(0xff, 0xd8, 0xff, 0),
    licence: "CC-BY-4.0",
    origin: "camera 7",
    retryOf: 3,
  },
  "image-reference-1": { ...IMAGE, bytes: null, licence: null, origin: null, retryOf: null },
  "labels-1": LABEL,
  "quarantine-1": QUARANTINED,
  "thresholds-1": THRESHOLDS,
  "versions-1": PUBLISHED,
  "versions-2": PUBLISHED_WITH_DELTA,
};

interface GoldenFile {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

function toFile({ key, value, headers, timestampMs }: LogRecord): string {
  const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString("hex"));
  return `${JSON.stringify({ key: hex(key), value: hex(value), headers, timestampMs }, null, 2)}\n`;
}

function fromFile(name: string): StoredRecord {
  const file = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")) as GoldenFile;
  const bytes = (hex: string | null): Buffer | null => (hex === null ? null : Buffer.from(hex, "hex"));
  return { ...file, key: bytes(file.key), value: bytes(file.value), offset: 5 };
}

const names = existsSync(FOLDER)
  ? readdirSync(FOLDER)
      .map((file) => file.replace(/\.json$/, ""))
      .sort()
  : [];

test("what is written has not changed", () => {
  const now = goldenRecords();
  if (process.env["UPDATE"] === "1") {
    mkdirSync(FOLDER, { recursive: true });
    for (const [name, record] of Object.entries(now)) writeFileSync(join(FOLDER, `${name}.json`), toFile(record));
    return;
  }
  for (const [name, record] of Object.entries(now)) {
    assert.equal(toFile(record), readFileSync(join(FOLDER, `${name}.json`), "utf8"), name);
  }
});

for (const name of names) {
  test(`${name}: what was written once is read for ever`, () => {
    const decode = DECODERS[name.replace(/-\d+$/, "")];
    assert.ok(decode !== undefined, "a golden file without a reader");
    assert.deepEqual(decode(fromFile(name)), EXPECTED[name]);
  });

  test(`${name}: another version, and bytes that are none, are refused with what to do`, () => {
    const decode = DECODERS[name.replace(/-\d+$/, "")]!;
    const golden = fromFile(name);
    const newer = { ...golden, headers: { ...golden.headers, "sluice-schema": "9" } };
    assert.throws(
      () => decode(newer),
      (error) =>
        isSluiceError(error, "E_RECORD_SCHEMA") && /found "9" at .*\/0\/5.*[Uu]pgrade Sluice/.test(error.message),
    );
    if (name.startsWith("image")) return;
    for (const value of [null, Buffer.alloc(0), Buffer.from("{}"), golden.value!.subarray(0, 30)]) {
      // The thresholds' record without a value ends its key.
      if (value === null && name.startsWith("thresholds")) continue;
      assert.throws(
        () => decode({ ...golden, value }),
        (error) => isSluiceError(error, "E_RECORD_SCHEMA"),
        `value ${value?.toString("hex") ?? "null"}`,
      );
    }
  });
}

test("a threshold is ended by a record without a value, under the same key", () => {
  const end = forgetThresholds(THRESHOLDS, 1);
  assert.deepEqual(end.key, goldenRecords()["thresholds-1"]!.key);
  assert.equal(decodeThresholds({ ...end, offset: 0 }, PLACE), null);
});

test("a threshold under another key than its own is refused", () => {
  const golden = { ...goldenRecords()["thresholds-1"]!, offset: 0, key: Buffer.from("d/other/global/1") };
  assert.throws(() => decodeThresholds(golden, PLACE), /its key is "d\/other\/global\/1"/);
});

test("candidates come back bit for bit; 36 bytes a row and a fixed part are what they take", () => {
  const row = fc.record({
    class: fc.nat(2 ** 31 - 1),
    key: fc.double({ noNaN: true, noDefaultInfinity: true, max: 0 }),
    identity: fc.array(fc.nat(0xffffffff), { minLength: 4, maxLength: 4 }),
    offset: fc.nat(2 ** 48 - 1),
  });
  fc.assert(
    fc.property(fc.array(fc.array(row, { maxLength: 40 }), { maxLength: 4 }), fc.nat(65_535), (parts, partition) => {
      const message = {
        ...CANDIDATES,
        partition,
        datasets: parts.map((rows, at) => ({
          dataset: `d${at}`,
          parameters: "p",
          parts: [
            {
              paneMs: at,
              thresholdsAt: null,
              batch: {
                count: rows.length,
                classes: Int32Array.from(rows, (one) => one.class),
                keys: Float64Array.from(rows, (one) => one.key),
                identity: Uint32Array.from(rows.flatMap((one) => one.identity)),
                partition: new Uint16Array(rows.length).fill(partition),
                offset: Float64Array.from(rows, (one) => one.offset),
              },
            },
          ],
        })),
      };
      const record = encodeCandidates(message, 1);
      assert.deepEqual(decodeCandidates({ ...record, offset: 0 }, PLACE), message);
      const rows = parts.reduce((sum, part) => sum + part.length, 0);
      assert.ok(record.value!.length <= 1_600 + parts.length * 600 + rows * 36, `${record.value!.length} B`);
    }),
  );
});

test("every class has one shard", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((classIndex) => shardOfClass(classIndex, 3)),
    [0, 1, 2, 0, 1],
  );
});
