import { parquetReadObjects } from "hyparquet";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { ERASED_URI } from "../../schemas/erased.js";
import { messageOf } from "../../schemas/errors.js";
import { copyRows } from "../../schemas/run-columns.js";
import type { ChainName } from "../../schemas/keys.js";
import { plainSegment, wholeName, type ArchivedChain, type ArchivedRow, type ArchivedSegment } from "./model.js";
import type { Place } from "./participants.js";
import { segmentWithoutErased, withoutErased } from "./upkeep-rows.js";

interface ParquetRow {
  readonly digest: Uint8Array;
  readonly partition: number;
  readonly offset: bigint;
  readonly event_time: Date;
  readonly copied: number;
  readonly bytes: number;
  readonly pack: Uint8Array | null;
  readonly licence: Uint8Array | null;
  readonly origin: Uint8Array | null;
  readonly retry_of: bigint;
  readonly classes: readonly number[];
  readonly keys: readonly number[];
}

/**
 * Every segment, in a run or not, reads as it was first written; and the runs' Parquet files, read by a reader of Parquet that
 * knows nothing of indexes, hold the rows of all segments below the runs' end, each once.
 */
export async function checkRuns(place: Place, chains: readonly ArchivedChain[]): Promise<void> {
  const { world, store, config } = place;
  for (const { teacher, partition, origin, segments } of chains) {
    const chain = { teacher, stream: config.stream, partition, origin };
    const reader = new ChainReader(store.memory, chain);
    const end = segments.at(-1)?.header.end ?? origin;
    const left = [...segments];
    try {
      for await (const found of reader.segments(origin, end)) {
        const unread = found.header.rejected.filter(({ sha256, uri }) => sha256 === null && uri === ERASED_URI);
        const offsets = new Set(unread.map(({ offset }) => offset));
        const { key, header, rows } = segmentWithoutErased(left.shift()!, place, offsets);
        const now = plainSegment(key, { header: found.header, batch: copyRows(found.batch) });
        if (JSON.stringify(now) !== JSON.stringify({ key, header, rows }))
          world.violate("runs", `${key} does not read as it was written`);
      }
      if (left.length > 0) world.violate("runs", `${left[0]!.key} is not read`);
      await checkFiles(place, reader, segments);
    } catch (error) {
      world.violate("runs", `${partition}@${origin} cannot be read: ${messageOf(error)}`);
    }
    if (world.violations.length > 0) return;
  }
}

async function checkFiles(place: Place, reader: ChainReader, segments: readonly ArchivedSegment[]): Promise<void> {
  const { world, store } = place;
  const { runs, chain } = reader;
  const end = await runs.end();
  const rows = new Map<number, ArchivedRow>();
  for (let at = chain.origin; at < end;) {
    const { start, level } = await runs.standingAt(at);
    const head = await runs.head(start, level);
    for (const { key } of head.files)
      for (const [offset, row] of await rowsOf(store.objects.get(key)!, chain)) rows.set(offset, row);
    at = head.end;
  }
  for (const first of segments.filter(({ header }) => header.end <= end).flatMap((segment) => segment.rows)) {
    const row = withoutErased(first, place);
    const other = rows.get(row.offset);
    rows.delete(row.offset);
    if (JSON.stringify(other) !== JSON.stringify(row)) {
      world.violate("runs", `runs have ${JSON.stringify(other)}, first written as ${JSON.stringify(row)}`);
    }
  }
  for (const { partition, offset } of rows.values())
    world.violate("runs", `runs have a row of ${partition}/${offset}, which no segment had`);
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}

/** The rows of one file by offset, as the model has them. */
async function rowsOf(bytes: Uint8Array, chain: ChainName): Promise<Map<number, ArchivedRow>> {
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
        pack: wholeName(textOf(row.pack), chain),
        licence: textOf(row.licence),
        origin: textOf(row.origin),
        retryOf: Number(row.retry_of),
        classes: [...row.classes],
        keys: [...row.keys],
      },
    ]),
  );
}
