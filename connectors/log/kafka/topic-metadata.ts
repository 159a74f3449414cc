import type { Broker } from "kafkajs";
import { SluiceError } from "../../../schemas/errors.js";
import { AnswerReader, rawRequest } from "./raw-request.js";

/** Metadata: the first version that tells topics' ids, which brokers have from 2.8 on. The client speaks up to 6. */
const METADATA = { apiKey: 3, apiVersion: 10, apiName: "Metadata" };
const ID_BYTES = 16;

/** Of a topic that the broker does not know (yet) */
export const UNKNOWN_TOPIC = 3;
/** Of a topic that the client may not even describe */
export const TOPIC_AUTHORIZATION_FAILED = 29;

export interface TopicMetadata {
  readonly errorCode: number;
  /** Base64, as Kafka's own tools print it; null where there is none */
  readonly id: string | null;
  /** What this client may do with it, a bit an operation of Kafka's */
  readonly operations: number;
}

/** What the brokers say of one topic by name; null where they do not speak of ids and rights (before 2.8). They are not to make it. */
export async function topicMetadata(broker: Broker, topic: string): Promise<TopicMetadata | null> {
  const name = Buffer.from(topic);
  const body = Buffer.concat([
    Buffer.from([0]), // tags of the header
    compactLength(1),
    Buffer.alloc(ID_BYTES),
    compactLength(name.length),
    name,
    Buffer.from([0]), // tags of the topic
    Buffer.from([0, 0, 1]), // make no topic; tell operations of topics, not of the cluster
    Buffer.from([0]), // tags
  ]);
  return rawRequest(broker, { ...METADATA, body, decode });
}

function decode(payload: Buffer): TopicMetadata {
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
  const id = from.bytes(ID_BYTES);
  from.skip(1); // whether it is internal
  for (let partitions = from.length(); partitions > 0; partitions--) {
    from.skip(2 + 4 + 4 + 4); // error, partition, leader, its epoch
    for (let lists = 3; lists > 0; lists--) from.skip(4 * from.length()); // replicas, those in sync, those away
    from.tags();
  }
  const known = !id.every((byte) => byte === 0);
  return { errorCode, id: known ? id.toString("base64url") : null, operations: from.int32() };
}

/** Kafka's compact encoding: lengths are one more than they say, 0 stands for null. */
function compactLength(length: number): Buffer {
  const bytes: number[] = [];
  let left = length + 1;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

class CompactReader extends AnswerReader {
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
