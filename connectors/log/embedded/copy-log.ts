import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import { LmdbFolder } from "./lmdb-folder.js";
import { decodeBounds, KEY_BYTES, namedPlace, placeOf } from "./partition-keys.js";
import { OWNER } from "./ownership.js";
import { decodeRecord, encodeRecord } from "./record-bytes.js";
import { markClosed } from "./standing.js";

/** Where a record lies; null where the topic's name was too long to be kept. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
}

/** What takes a record's place; null: it stays. */
export type ChangeRecord = (record: StoredRecord, place: RecordPlace | null) => LogRecord | null;

/** What is written at once */
const AT_ONCE = { entries: 1000, sizeBytes: 8 * 1024 * 1024 };
/** What senders' keys are remembered by: see `EmbeddedLog.table` */
const SENT_KEYS = "table gateway keys";
/** Every key is behind it */
const FIRST_KEY = Buffer.from([0]);

/**
 * Writes a log of the same records, offsets, cursors and commits into an empty folder, some records changed. The new file has no byte of
 * what was changed or forgotten: lmdb keeps such bytes in pages that are free.
 */
export async function copyLog(from: LmdbFolder, folder: string, change: ChangeRecord): Promise<void> {
  const places = new Map<number, RecordPlace>();
  const meta = from.table("meta");
  for (const { key, value } of meta?.entries({ start: FIRST_KEY }) ?? []) {
    const named = namedPlace(key);
    if (named?.what === "bounds")
      places.set(decodeBounds(value).id, { topic: named.topic, partition: named.partition });
  }
  const to = LmdbFolder.open(folder, false);
  try {
    for (const name of ["meta", "records", "arrivals", "spared", SENT_KEYS]) {
      const [source, target] = [from.table(name), to.table(name)];
      if (source === null || target === null) continue;
      const hasRecords = name === "records" || name === "spared";
      let held: { key: Buffer; value: Buffer }[] = [];
      let heldBytes = 0;
      const write = (): void => {
        to.writeNow(() => {
          for (const { key, value } of held) target.put(key, value);
        });
        held = [];
        heldBytes = 0;
      };
      for (const { key, value } of source.entries({ start: FIRST_KEY })) {
        // The new log has no writer yet.
        if (name === "meta" && key.equals(OWNER)) continue;
        const stored = hasRecords && key.length === KEY_BYTES ? changed(key, value, places, change) : null;
        // A view is valid until the next entry is read.
        held.push({ key: Buffer.from(key), value: stored ?? Buffer.from(value) });
        heldBytes += held.at(-1)!.value.length;
        if (held.length >= AT_ONCE.entries || heldBytes >= AT_ONCE.sizeBytes) write();
      }
      write();
    }
  } finally {
    await to.close();
  }
  markClosed(folder);
}

function changed(
  key: Buffer,
  value: Buffer,
  places: ReadonlyMap<number, RecordPlace>,
  change: ChangeRecord,
): Buffer | null {
  const { id, offset } = placeOf(key);
  const record = change(decodeRecord(value, offset), places.get(id) ?? null);
  return record === null ? null : encodeRecord(record);
}
