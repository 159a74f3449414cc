import type { ArchiveReader } from "../../operators/archive/archive-reader.js";
import type { Quarantined } from "./quarantine.js";

/** The shard itself, refused where it breaks off: it is read from its start again when it has changed. */
const SHARD = /^tar:[^#]*#$/;

/**
 * Of refused records those whose place has not been seen again later: neither refused again there, nor used. Later is a greater offset in the same
 * partition; in another one, where offsets say nothing, a later event time. Only the rows behind the first that is `wanted` are read.
 */
export async function stillRefused(
  archive: ArchiveReader,
  refused: readonly Quarantined[],
  wanted: (one: Quarantined) => boolean,
): Promise<Quarantined[]> {
  const last = new Map<string, Quarantined>();
  for (const one of refused) {
    const other = last.get(one.uri);
    if (other === undefined || isLater(one, other)) last.set(one.uri, one);
  }
  const places = new Map<string, Quarantined>();
  for (const one of last.values()) if (wanted(one) && !one.uri.startsWith("log://")) places.set(one.uri, one);
  if (places.size > 0) await forgetUsed(archive, places);
  return refused.filter(
    (one) => last.get(one.uri) === one && wanted(one) && (one.uri.startsWith("log://") || places.has(one.uri)),
  );
}

/** Takes those out of `places` that a later row was made of. */
async function forgetUsed(archive: ArchiveReader, places: Map<string, Quarantined>): Promise<void> {
  const partitions = new Set([...places.values()].map(({ partition }) => partition));
  const first = Math.min(...[...places.values()].map(({ offset }) => offset));
  const hasShards = [...places.keys()].some((uri) => SHARD.test(uri));
  const passOver = (): void => undefined;
  for (const chain of await archive.chains()) {
    const reader = archive.chain(chain);
    let from = chain.origin;
    let end = chain.origin;
    for await (const header of reader.headers(chain.origin, undefined, passOver)) {
      if (partitions.size === 1 && partitions.has(chain.partition) && header.start <= first) from = header.start;
      end = header.end;
    }
    for await (const { batch } of reader.segments(from, end, passOver)) {
      for (let row = 0; row < batch.count; row++) {
        const uri = batch.uri.get(row);
        if (uri === null) continue;
        const seen = {
          partition: batch.partition[row]!,
          offset: Number(batch.offset[row]!),
          eventTimeMs: Number(batch.eventTimeMs[row]!),
        };
        const one = places.get(uri);
        if (one !== undefined && isLater(seen, one)) places.delete(uri);
        if (!hasShards || batch.retryOf[row] !== -1n) continue;
        const shard = uri.replace(/(?:\?at=\d+)?#.*$/s, "#");
        const broken = places.get(shard);
        if (broken !== undefined && isLater(seen, broken)) places.delete(shard);
      }
      if (places.size === 0) return;
    }
  }
}

type Seen = Pick<Quarantined, "partition" | "offset" | "eventTimeMs">;

function isLater(one: Seen, other: Seen): boolean {
  return one.partition === other.partition ? one.offset > other.offset : one.eventTimeMs > other.eventTimeMs;
}
