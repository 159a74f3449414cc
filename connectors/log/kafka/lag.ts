import type { KafkaClient } from "./client.js";
import { topicEnds } from "./topics.js";

/** How far a consumer group is behind on one topic. */
export interface GroupLag {
  readonly group: string;
  /** Records that it has not committed, of all partitions */
  readonly lag: number;
}

/** A group, and who works in it. */
export interface GroupState extends GroupLag {
  readonly members: number;
}

/**
 * The groups with members whose names begin with `prefix` and that have committed something of the topic. A group without
 * members is left out: nobody there works, however far behind it is.
 */
export async function groupLags(client: KafkaClient, topic: string, prefix: string): Promise<readonly GroupLag[]> {
  const states = await groupStates(client, topic, prefix, { wanted: (members) => members > 0 });
  return states.map(({ group, lag }) => ({ group, lag }));
}

/** The same of all groups, by name; `wanted` says of which, by their number of members, and `partitions` what they read. */
export async function groupStates(
  client: KafkaClient,
  topic: string,
  prefix: string,
  {
    wanted = () => true,
    partitions,
  }: { readonly wanted?: (members: number) => boolean; readonly partitions?: readonly number[] } = {},
): Promise<readonly GroupState[]> {
  const named = await client.administer("list the groups", async (admin) => {
    const { groups } = await admin.listGroups();
    return groups.map(({ groupId }) => groupId).filter((group) => group.startsWith(prefix));
  });
  if (named.length === 0) return [];
  const described = await client.administer("look at the groups", (admin) => admin.describeGroups(named));
  const found = described.groups.map(({ groupId, members }) => ({ group: groupId, members: members.length }));
  const states: GroupState[] = [];
  for (const { group, members } of found.sort((a, b) => (a.group < b.group ? -1 : 1))) {
    if (!wanted(members)) continue;
    const committed = await client.administer(
      `read the commits of group "${group}"`,
      (admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }),
      { topic },
    );
    const offsets = new Map(
      committed.flatMap((one) => one.partitions).map(({ partition, offset }) => [partition, Number(offset)]),
    );
    if (![...offsets.values()].some((offset) => offset >= 0)) continue;
    let lag = 0;
    for (const [partition, { start, end }] of (await topicEnds(client, topic)).entries()) {
      if (partitions?.includes(partition) === false) continue;
      lag += Math.max(0, end - Math.max(start, offsets.get(partition) ?? -1));
    }
    states.push({ group, members, lag });
  }
  return states;
}
