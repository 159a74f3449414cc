import type { Store } from "../connectors/store/store.js";
import { followSegments } from "../operators/stages/chain.js";
import type { RecordCounts } from "../schemas/segment.js";
import type { Manifest } from "../schemas/manifest.js";

/**
 * What the archive itself says of the records behind a version: the counts of every segment up to its frontier, each
 * segment read whole. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT; an incomplete version leaves its gaps out here, too.
 */
export async function chainTotals(store: Store, manifest: Manifest): Promise<RecordCounts> {
  const totals = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };
  const { stream, frontier, incomplete } = manifest.provenance;
  for (const { partition, origin, end } of frontier) {
    const chain = { teacher: manifest.teacher.digest, stream, partition, origin };
    for await (const { header } of followSegments(
      store,
      chain,
      origin,
      end,
      incomplete ? () => undefined : undefined,
    )) {
      totals.in += header.counts.in;
      totals.scored += header.counts.scored;
      totals.copied += header.counts.copied;
      totals.quarantined += header.counts.quarantined;
      totals.lost += header.counts.lost;
    }
  }
  return totals;
}
