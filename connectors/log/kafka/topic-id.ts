import type { Broker } from "kafkajs";
import { SluiceError } from "../../../schemas/errors.js";

/** Metadata: the first version that tells topics' ids, which brokers have from 2.8 on. The client speaks up to 6. */
const API_KEY = 3;
const API_VERSION = 10;
const ID_BYTES = 16;
/** Of a topic that the broker does not know (yet) */
const UNKNOWN_TOPIC = 3;

/** What the client's `Broker` has beyond its types */
interface Connected {
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>> | null;
  readonly connectionPool: {
    send<T>(protocol: {
      readonly request: { apiKey: number; apiVersion: number; apiName: string; encode: () => Promise<EncodedBody> };
      readonly response: { decode: (payload: Buffer) => T; parse: (decoded: T) => T };
    }): Promise<T>;
  };
}

/** What the client writes behind a request's header */
interface EncodedBody {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  size(): number;
}

interface Told {
  readonly errorCode: number;
  readonly id: Buffer;
}

/**
 * What the brokers call a topic since it was made, in base64 as Kafka's own tools print it; null where they have no ids (before
 * 2.8). Throws E_LOG_IO where there is no such topic.
 */
export async function topicId(broker: Broker, topic: string): Promise<string | null> {
  const { versions, connectionPool } = broker as unknown as Connected;
  const known = versions === null ? undefined : versions[API_KEY];
  if (known === undefined || known.maxVersion < API_VERSION) return null;
  const body = encodeRequest(topic);
  const { errorCode, id } = await connectionPool.send<Told>({
    request: {
      apiKey: API_KEY,
      apiVersion: API_VERSION,
      apiName: "Metadata",
      encode: () => Promise.resolve({ buf: body, buffer: body, size: () => body.length }),
    },
    response: { decode: decodeResponse, parse: (told) => told },
  });
  if (!id.every((byte) => byte === 0)) return id.toString("base64url");
  throw new SluiceError(
    "E_LOG_IO",
    `Expected the id of topic "${topic}", found ${errorCode === UNKNOWN_TOPIC ? "no such topic" : `error ${errorCode} of Kafka`}.`,
    { topic, errorCode, retryable: true },
  );
}

/** One topic by name; brokers are not to make it. */
function encodeRequest(topic: string): Buffer {
  const name = Buffer.from(topic);
  return Buffer.concat([
    Buffer.from([0]), // tags of the header
    compactLength(1),
    Buffer.alloc(ID_BYTES),
    compactLength(name.length),
    name,
    Buffer.from([0]), // tags of the topic
    Buffer.from([0, 0, 0]), // make no topic, tell no operations
    Buffer.from([0]), // tags
  ]);
}

function decodeResponse(payload: Buffer): Told {
  const from = new CompactReader(payload);
  from.tags();
  from.skip(4); // throttle time
  for (let brokers = from.length(); brokers > 0; brokers--) {
    from.skip(4); // id
    from.skip(from.length()); // host
    from.skip(4); // port
    from.skip(from.length()); // rack
    from.tags();
  }
  from.skip(from.length()); // cluster
  from.skip(4); // controller
  if (from.length() !== 1)
    throw new SluiceError("E_INTERNAL", "Expected the metadata of the one topic that was asked for.");
  const errorCode = from.int16();
  from.skip(from.length()); // name
  return { errorCode, id: from.bytes(ID_BYTES) };
}

/** Kafka's compact encoding: lengths are one more than they say, 0 stands for null. */
function compactLength(length: number): Buffer {
  const bytes: number[] = [];
  let left = length + 1;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

class CompactReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.#at += count;
  }

  bytes(count: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.skip(count);
    return taken;
  }

  int16(): number {
    return this.bytes(2).readInt16BE();
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes(1).readUInt8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** Of a string or an array; 0 for null */
  length(): number {
    return Math.max(0, this.#varint() - 1);
  }

  tags(): void {
    for (let left = this.#varint(); left > 0; left--) {
      this.#varint();
      this.skip(this.#varint());
    }
  }
}
