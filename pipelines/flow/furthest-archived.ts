import type { Store } from "../../connectors/store/store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";

/** By partition of a stream, the furthest end that any teacher's archive has reached. */
export async function furthestArchived(store: Store, stream: string): Promise<Map<number, number>> {
  const furthest = new Map<number, number>();
  for (const [teacher] of await readCards(store)) {
    const frontier = await currentFrontier(store, { teacher, stream }, { onGap: () => undefined });
    for (const { partition, end } of frontier) furthest.set(partition, Math.max(end, furthest.get(partition) ?? 0));
  }
  return furthest;
}
