import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import type { ChainReader } from "../../operators/archive/chain-reader.js";
import type { HeldContent } from "../../operators/archive/stream-log.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { ERASED_URI } from "../../schemas/erased.js";
import { isSluiceError } from "../../schemas/errors.js";
import { decodeImageRecord, type StoredRecord } from "../../schemas/image-record.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";

/** What the archive says of a record of the images topic. */
export interface ArchivedRecord {
  readonly offset: number;
  /** null where its bytes could not be read */
  readonly sha256: string | null;
  readonly uri: string;
  readonly eventTimeMs: number;
}

/** Where the archive of a partition ends, and the last records before, the newest first; any teacher's that reaches furthest. */
export interface ArchivedEnd {
  readonly partition: number;
  readonly end: number;
  readonly last: readonly ArchivedRecord[];
}

/** Segments that are looked through for records: those of losses and holes have none. */
const MOST_SEGMENTS = 16;

/** Of each partition that any teacher has archived something of. */
export async function archivedEnds(store: Store, stream: string): Promise<ArchivedEnd[]> {
  const furthest = new Map<number, { readonly end: number; readonly chain: ChainReader }>();
  for (const teacher of (await readCards(store)).keys()) {
    const archive = new ArchiveReader(store, { teacher, stream });
    for (const { partition, origin, end } of await archive.frontier({ onGap: () => undefined })) {
      if (end <= (furthest.get(partition)?.end ?? -1)) continue;
      furthest.set(partition, { end, chain: archive.chain({ partition, origin }) });
    }
  }
  const ends: ArchivedEnd[] = [];
  for (const [partition, { end, chain }] of furthest) ends.push({ partition, end, last: await lastOf(chain, end) });
  return ends.sort((a, b) => a.partition - b.partition);
}

async function lastOf(chain: ChainReader, end: number): Promise<ArchivedRecord[]> {
  const { origin } = chain.chain;
  let until = end;
  for (let looked = 0; until > origin && looked < MOST_SEGMENTS; looked++) {
    const start = await chain.boundaryAtOrBelow(until - 1);
    const found: ArchivedRecord[] = [];
    for await (const { header, batch } of chain.segments(start, until, () => undefined)) {
      for (const { offset, sha256, uri, eventTimeMs } of header.rejected)
        found.push({ offset, sha256, uri, eventTimeMs });
      for (let row = 0; row < batch.count; row++) {
        const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
        found.push({
          offset: Number(batch.offset[row]!),
          sha256: Buffer.from(digest).toString("hex"),
          uri: batch.uri.get(row) ?? "",
          eventTimeMs: Number(batch.eventTimeMs[row]!),
        });
      }
    }
    if (found.length > 0) return found.sort((a, b) => b.offset - a.offset);
    until = start;
  }
  return [];
}

/** Whether a record of the topic is one that was archived; null where nobody can say. */
export function isArchived(
  archived: ArchivedRecord,
  record: StoredRecord,
  place: { stream: string; partition: number },
): boolean | null {
  try {
    const { bytes, uri, eventTimeMs } = decodeImageRecord(record, place);
    if (bytes !== null && archived.sha256 !== null)
      return sha256Hex(bytes) === archived.sha256 && eventTimeMs === archived.eventTimeMs;
    // Such a uri is the record's own place, of any record there.
    if (uri.startsWith("log:") || archived.uri.startsWith("log:")) return bytes === null ? false : null;
    // An erased image has no uri in the archive any more.
    if (archived.uri === ERASED_URI || uri === ERASED_URI) return null;
    return uri === archived.uri && eventTimeMs === archived.eventTimeMs;
  } catch (error) {
    if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
    return null;
  }
}

/** What was last archived of a partition is asked of so many records at most */
const ASKED = 8;

/** Whether the images topic has at archived offsets what was archived of them: the last such record of each partition tells. */
export async function heldImages(log: Log, store: Store, stream: string): Promise<HeldContent> {
  const ends = await log.ends(stream);
  let seen: HeldContent = { what: "none", place: null };
  for (const { partition, last } of await archivedEnds(store, stream)) {
    const { start = 0, end = 0 } = ends[partition] ?? {};
    const held = last.filter(({ offset }) => offset >= start && offset < end).slice(0, ASKED);
    const told = await lastTold(log, { stream, partition }, held);
    if (told?.isSame === false) return { what: "other", place: `${stream}/${partition}/${told.offset}` };
    if (told !== null) seen = { what: "same", place: `${stream}/${partition}/${told.offset}` };
    else if (seen.what === "none" && last[0] !== undefined) {
      seen = { what: "none", place: `${stream}/${partition}/${last[0].offset}` };
    }
  }
  return seen;
}

async function lastTold(
  log: Log,
  place: { readonly stream: string; readonly partition: number },
  held: readonly ArchivedRecord[],
): Promise<{ readonly offset: number; readonly isSame: boolean } | null> {
  if (held.length === 0) return null;
  const offsets = held.map(({ offset }) => offset).sort((a, b) => a - b);
  const records = new Map((await log.fetch(place.stream, place.partition, offsets)).map((one) => [one.offset, one]));
  for (const archived of held) {
    const record = records.get(archived.offset);
    const isSame = record === undefined ? null : isArchived(archived, record, place);
    if (isSame !== null) return { offset: archived.offset, isSame };
  }
  return null;
}
