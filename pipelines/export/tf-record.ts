import { SluiceError } from "../../schemas/errors.js";
import { SIDECAR_FIELDS } from "../../schemas/sample-sidecar.js";
import type { Sample } from "../versions/shard-reader.js";
import { crc32c } from "./crc32c.js";

/** The wire type of what says its length, in protocol buffers */
const DELIMITED = 2;
/** Fields of tf.train.Feature, by what they hold */
const LIST_FIELD = { bytes: 1, float32: 2, int64: 3 } as const;

/** Features of an Example: the image as it was found, and what the sample's `.json` says. */
export const FEATURES: readonly { readonly name: string; readonly type: keyof typeof LIST_FIELD }[] = [
  { name: "image", type: "bytes" },
  ...SIDECAR_FIELDS.map(({ name, type }) => ({
    name,
    type: type === "string" ? ("bytes" as const) : type === "float64" ? ("float32" as const) : ("int64" as const),
  })),
];

/**
 * One sample as a record of a TFRecord file: the length (u64), its masked CRC-32C (u32), a tf.train.Example, its masked CRC-32C; little-endian.
 * Throws E_VERSION_CORRUPT where the sidecar lacks a field. Source: TensorFlow, tsl/lib/io/record_writer.h and core/example/feature.proto.
 */
export function tfRecord(sample: Sample): Uint8Array {
  const { bytes, about } = sample;
  const features = FEATURES.map(({ name, type }) => {
    const said = name === "image" ? bytes : about[name as keyof typeof about];
    // Of a row by a label; an Example has no null.
    const value = said === null && type === "float32" ? Number.NaN : said;
    if (!(value instanceof Uint8Array) && typeof value !== (type === "bytes" ? "string" : "number")) {
      throw new SluiceError(
        "E_VERSION_CORRUPT",
        `Expected "${name}" as ${type} in the .json of class ${sample.class}, rank ${sample.rank}, found ${value === undefined ? "nothing" : JSON.stringify(value)}. Restore the shard from a copy.`,
      );
    }
    const list = field(LIST_FIELD[type], listOf(type, value));
    return field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, list)]));
  });
  return framed(field(1, Buffer.concat(features)));
}

/** A BytesList, FloatList or Int64List of one value; numbers are packed. */
function listOf(type: keyof typeof LIST_FIELD, value: unknown): Uint8Array {
  if (type === "bytes") return field(1, value instanceof Uint8Array ? value : Buffer.from(String(value)));
  if (type === "int64") return field(1, varint(BigInt.asUintN(64, BigInt(Number(value)))));
  const float = Buffer.alloc(4);
  float.writeFloatLE(Number(value));
  return field(1, float);
}

function field(number: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([varint(BigInt((number << 3) | DELIMITED)), varint(BigInt(content.length)), content]);
}

/** Seven bits a byte, the lowest first. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function framed(example: Uint8Array): Uint8Array {
  const record = Buffer.alloc(example.length + 16);
  record.writeBigUInt64LE(BigInt(example.length));
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(example, 12);
  record.writeUInt32LE(masked(example), 12 + example.length);
  return record;
}

/** A CRC of bytes that hold CRCs themselves would be weak: it is turned, and a constant added. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
