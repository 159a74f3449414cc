import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../../pipelines/export/crc32c.js";
import { tfRecord } from "../../../pipelines/export/tf-record.js";
import type { Sample } from "../../../pipelines/versions/shard-reader.js";

/** Bit by bit, as the polynomial says */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test("CRC-32C gives the values of RFC 3720, and of the polynomial for any bytes", () => {
  const vectors: readonly (readonly [Uint8Array, number])[] = [
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, at) => at), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, at) => 31 - at), 0x113fdb5c],
    [Buffer.from("123456789"), 0xe3069283],
    [new Uint8Array(), 0],
  ];
  for (const [bytes, crc] of vectors) assert.equal(crc32c(bytes), crc);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => crc32c(bytes) === slowCrc(bytes)));
});

test("a record is framed and holds every feature of the sample", () => {
  const about = {
    ...{
      class: 3,
      label: "猫, x",
      rank: 300,
      key: -0.5,
      probability: 0.25,
      sha256: "ab",
      format: "png",
      width: 1,
      height: 2,
    },
    ...{ uri: "", event_time_ms: 1_700_000_000_000, licence: "", origin: "o", dataset: "d", k: 5, p: 1 },
    ...{ teacher: "t", teacher_digest: "ff", by: "teacher" },
  };
  const bytes = Uint8Array.from({ length: 200 }, (_, at) => at);
  const sample: Sample = { class: 3, rank: 300, sha256: "ab", format: "png", bytes, about };
  const record = Buffer.from(tfRecord(sample));
  const length = Number(record.readBigUInt64LE(0));
  assert.equal(record.length, length + 16);
  const unmasked = (at: number): number => {
    const turned = (record.readUInt32LE(at) - 0xa282ead8) >>> 0;
    return ((turned << 15) | (turned >>> 17)) >>> 0;
  };
  assert.equal(unmasked(8), slowCrc(record.subarray(0, 8)));
  assert.equal(unmasked(12 + length), slowCrc(record.subarray(12, 12 + length)));

  const [features] = fieldsOf(record.subarray(12, 12 + length));
  const found = Object.fromEntries(
    fieldsOf(features!.content).map(({ content }) => {
      const [name, feature] = fieldsOf(content);
      const [list] = fieldsOf(feature!.content);
      const [value] = fieldsOf(list!.content);
      return [name!.content.toString("utf8"), valueOf(list!.number, value!.content)];
    }),
  );
  assert.deepEqual(found, { ...about, image: Buffer.from(bytes).toString("latin1"), ...textsOf(about) });
});

/** Text as the bytes that it is */
function textsOf(about: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(about).flatMap(([name, value]) =>
      typeof value === "string" ? [[name, Buffer.from(value).toString("latin1")]] : [],
    ),
  );
}

interface Field {
  readonly number: number;
  readonly content: Buffer;
}

function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < message.length;) {
    assert.equal(message[at]! & 7, 2);
    const number = message[at]! >> 3;
    const { value, next } = varintAt(message, at + 1);
    fields.push({ number, content: message.subarray(next, next + value) });
    at = next + value;
  }
  return fields;
}

function varintAt(message: Buffer, start: number): { value: number; next: number } {
  let value = 0;
  let at = start;
  for (let scale = 1; ; scale *= 128) {
    value += (message[at]! & 0x7f) * scale;
    if (message[at++]! < 128) return { value, next: at };
  }
}

function valueOf(list: number, content: Buffer): string | number {
  if (list === 1) return content.toString("latin1");
  return list === 2 ? content.readFloatLE() : varintAt(content, 0).value;
}
