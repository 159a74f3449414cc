import kafkajs from "kafkajs";

/** The partition that Kafka's own clients choose for a key: murmur2, as in Java's default partitioner. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return kafkajs.Partitioners.DefaultPartitioner()({
    topic: "",
    partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({
      partitionId,
      leader: 0,
      partitionErrorCode: 0,
      replicas: [0],
      isr: [0],
    })),
    message: { key: Buffer.from(key), value: null },
  });
}
