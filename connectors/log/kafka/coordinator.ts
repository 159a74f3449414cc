import type { Broker, Cluster } from "kafkajs";

/** What the client's `Broker` has beyond its types */
interface Asked {
  findGroupCoordinator(group: {
    groupId: string;
    coordinatorType: number;
  }): Promise<{ readonly coordinator: { readonly nodeId: number } }>;
}

/** Of groups, not of transactions */
const GROUP = 0;

/**
 * The broker that keeps a group. Throws what the brokers say: kafkajs's own search asks one after the other, and drops their answers where
 * each refuses, so that a right that is missing looks like a coordinator that is away.
 */
export async function coordinatorOf(cluster: Cluster, group: string): Promise<Broker> {
  const asked = (await cluster.findControllerBroker()) as unknown as Asked;
  const { coordinator } = await asked.findGroupCoordinator({ groupId: group, coordinatorType: GROUP });
  return cluster.findBroker({ nodeId: String(coordinator.nodeId) });
}
