import { parquetReadObjects } from "hyparquet";
import { readSegment } from "../../operators/stages/chain.js";
import { messageOf } from "../../schemas/errors.js";
import { decodeArchived } from "../../schemas/segment.js";
import { plainSegment, type ArchivedChain, type ArchivedRow } from "./model.js";
import { TEACHER, type Place } from "./participants.js";

interface ParquetRow {
  readonly digest: Uint8Array;
  readonly partition: number;
  readonly offset: bigint;
  readonly event_time: Date;
  readonly copied: number;
  readonly bytes: number;
  readonly retry_of: bigint;
  readonly classes: readonly number[];
  readonly keys: readonly number[];
}

/**
 * Every segment, compacted or not, reads as it was first written; and the compacted files, read by a reader of Parquet
 * that knows nothing of stubs, hold the rows of the segments that name them, each once.
 */
export async function checkCompacted(place: Place, chains: readonly ArchivedChain[]): Promise<void> {
  const { world, store, config } = place;
  const files = new Map<string, Map<number, ArchivedRow>>();
  for (const [key, bytes] of store.objects) {
    if (key.endsWith(".parquet") && key.startsWith("compacted/")) files.set(key, await rowsOf(bytes));
  }
  for (const { partition, origin, segments } of chains) {
    const chain = { teacher: TEACHER, stream: config.stream, partition, origin };
    for (const { key, header, rows } of segments) {
      try {
        const now = plainSegment(key, await readSegment(store.memory, chain, header.start));
        if (JSON.stringify(now) !== JSON.stringify({ key, header, rows })) {
          world.violate("compacted", `${key} does not read as it was written`);
        }
      } catch (error) {
        world.violate("compacted", `${key} cannot be read: ${messageOf(error)}`);
      }
      const found = decodeArchived(store.objects.get(key)!, key);
      const file = "stub" in found ? files.get(found.stub.key) : undefined;
      for (const row of file === undefined ? [] : rows) {
        const other = file?.get(row.offset);
        if (JSON.stringify(other) !== JSON.stringify(row)) {
          world.violate("compacted", `${key}: ${JSON.stringify(other)}, first written as ${JSON.stringify(row)}`);
        }
      }
      if (world.violations.length > 0) return;
    }
  }
}

/** The rows of one file by offset, as the model has them. */
async function rowsOf(bytes: Uint8Array): Promise<Map<number, ArchivedRow>> {
  const rows = (await parquetReadObjects({ file: Uint8Array.from(bytes).buffer, utf8: false })) as ParquetRow[];
  return new Map(
    rows.map((row) => [
      Number(row.offset),
      {
        sha256: Buffer.from(row.digest).toString("hex"),
        partition: row.partition,
        offset: Number(row.offset),
        eventTimeMs: row.event_time.getTime(),
        copied: row.copied === 1,
        bytes: row.bytes,
        retryOf: Number(row.retry_of),
        classes: [...row.classes],
        keys: [...row.keys],
      },
    ]),
  );
}
