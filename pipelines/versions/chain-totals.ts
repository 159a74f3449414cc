import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readLostRanges } from "../../operators/archive/lost-ranges.js";
import { NO_RECORDS, sumOfCounts } from "../../operators/archive/run-index.js";
import { pinned, type PinClock } from "../flow/pinned.js";
import type { RecordCounts } from "../../schemas/segment.js";
import type { LostRange } from "../../schemas/lost-range.js";
import type { Manifest } from "../../schemas/manifest.js";

/**
 * What the archive itself says of the records behind a version: the totals of its runs' indexes and of the segments of the
 * tail, up to its frontier. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT; an incomplete version leaves its gaps out here, too.
 */
export async function chainTotals(store: Store, manifest: Manifest): Promise<RecordCounts> {
  const { stream, frontier, incomplete } = manifest.provenance;
  const archive = new ArchiveReader(store, { teacher: manifest.teacher.digest, stream });
  return (await archive.totalsAt(frontier, incomplete ? () => undefined : undefined)).counts;
}

/** The same by reading every segment whole, each row by its checksum. */
export async function readChainTotals(store: Store, manifest: Manifest, clock: PinClock = {}): Promise<RecordCounts> {
  const archive = new ArchiveReader(store, { teacher: manifest.teacher.digest, stream: manifest.provenance.stream });
  return pinned(store, archive.archive, "verify", clock, () => readTotals(archive, manifest));
}

async function readTotals(archive: ArchiveReader, { provenance }: Manifest): Promise<RecordCounts> {
  const { frontier, incomplete } = provenance;
  let totals = NO_RECORDS;
  for (const { end, ...place } of frontier) {
    const onGap = incomplete ? () => undefined : undefined;
    for await (const { header } of archive.segments(place, place.origin, end, onGap)) {
      totals = sumOfCounts(totals, header.counts);
    }
  }
  return totals;
}

/** What is declared lost by now of the archive that a version is of, by number. */
export function lostRangesOf(store: Store, { teacher, provenance }: Manifest): Promise<LostRange[]> {
  return readLostRanges(store, { teacher: teacher.digest, stream: provenance.stream });
}
