import type { Broker } from "kafkajs";
import { SluiceError } from "../../../schemas/errors.js";
import type { KafkaOperation, KafkaRight } from "../../../schemas/kafka-rights.js";
import { AnswerReader, rawRequest } from "./raw-request.js";
import { TOPIC_AUTHORIZATION_FAILED, topicMetadata } from "./topic-metadata.js";

/** Kafka's number of each operation: its bit in what a broker says that a client may do */
const BIT: Readonly<Record<KafkaOperation, number>> = {
  Read: 3,
  Write: 4,
  Create: 5,
  Delete: 6,
  Describe: 8,
  DescribeConfigs: 10,
};

/** Of a broker that does not say */
const NOT_SAID = -(2 ** 31);

/** Whether the operations include this one; what is not said is not missing. */
function allows(operations: number, operation: KafkaOperation): boolean {
  return operations === NOT_SAID || (operations & (1 << BIT[operation])) !== 0;
}

/** What a client that may not even describe a topic lacks for certain */
function bringsDescribe({ operation }: KafkaRight): boolean {
  return ["Read", "Write", "Delete", "Describe"].includes(operation);
}

/** Of the rights on one topic those that this client lacks, as far as the broker says; of a topic that is absent none. */
export async function lackingOnTopic(
  broker: Broker,
  topic: string,
  rights: readonly KafkaRight[],
): Promise<readonly KafkaRight[]> {
  const found = await topicMetadata(broker, topic);
  if (found === null) return [];
  if (found.errorCode === TOPIC_AUTHORIZATION_FAILED) return rights.filter(bringsDescribe);
  if (found.errorCode !== 0) return [];
  return rights.filter(({ operation }) => !allows(found.operations, operation));
}

/** DescribeGroups: the first version that tells operations. The client speaks up to 2. */
const DESCRIBE_GROUPS = { apiKey: 15, apiVersion: 3, apiName: "DescribeGroups" };

/** It is loading, not known, or another one by now. */
const COORDINATOR_AWAY = [14, 15, 16];

/** The same of a group; `broker` is its coordinator. */
export async function lackingOnGroup(
  broker: Broker,
  group: string,
  rights: readonly KafkaRight[],
): Promise<readonly KafkaRight[]> {
  const name = Buffer.from(group);
  const body = Buffer.alloc(4 + 2 + name.length + 1);
  body.writeInt32BE(1, 0);
  body.writeInt16BE(name.length, 4);
  name.copy(body, 6);
  body.writeUInt8(1, 6 + name.length);
  const found = await rawRequest(broker, { ...DESCRIBE_GROUPS, body, decode: operationsOfGroup });
  return found === null ? [] : rights.filter(({ operation }) => !allows(found, operation));
}

function operationsOfGroup(payload: Buffer): number {
  const from = new AnswerReader(payload);
  const text = (): void => {
    from.skip(Math.max(0, from.int16()));
  };
  from.skip(4 + 4); // throttle time, one group
  const errorCode = from.int16();
  if (COORDINATOR_AWAY.includes(errorCode)) {
    throw new SluiceError(
      "E_LOG_IO",
      `Expected the group's coordinator to answer, found error ${errorCode} of Kafka.`,
      {
        retryable: true,
      },
    );
  }
  for (let texts = 4; texts > 0; texts--) text(); // group, state, protocol's type and name
  for (let members = from.int32(); members > 0; members--) {
    for (let texts = 3; texts > 0; texts--) text(); // member, client, host
    for (let parts = 2; parts > 0; parts--) from.skip(Math.max(0, from.int32())); // metadata, assignment
  }
  return from.int32();
}
