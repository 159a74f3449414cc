import { SluiceError } from "../../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import type { LogIdentity } from "../../../schemas/stream-log.js";
import { consumePartitions } from "../kafka/consume-partitions.js";
import { copyLog, type ChangeRecord } from "./copy-log.js";
import { EmbeddedTable } from "./embedded-table.js";
import { LmdbFolder } from "./lmdb-folder.js";
import type { Assignment, Cursor, Log, PartitionEnds } from "../log.js";
import { currentHolder, takeOwnership, type Holder, type Ownership } from "./ownership.js";
import { partitionName, readPartition } from "./partition-reader.js";
import { encodeRecords, PartitionTable, type HeldRecords, type Truncation } from "./partition-table.js";
import { assertSound, markClosed, markOpen } from "./standing.js";
import { Turns } from "../turns.js";
import { WakeUps } from "./wake-ups.js";

export type EmbeddedLogOptions =
  /** The folder's only writer; `command` is shown to a process that is refused meanwhile. */
  | { readonly exclusive: true; readonly command: string; readonly nowMs?: () => number }
  /** Looks on beside a writer, or without one; every write is refused with E_LOG_IO. */
  | { readonly exclusive: false };

/** What one transaction may do. Its methods are valid until the function it was given to returns. */
export interface LogTransaction {
  /** Returns the first record's offset. */
  append(topic: string, partition: number, records: readonly LogRecord[], cursor?: Cursor): number;
  commit(group: string, topic: string, partition: number, offset: number): void;
  get(table: EmbeddedTable, key: Uint8Array): Uint8Array | undefined;
  put(table: EmbeddedTable, key: Uint8Array, value: Uint8Array): void;
  delete(table: EmbeddedTable, key: Uint8Array): void;
  clear(table: EmbeddedTable): void;
}

const FORMAT_KEY = Buffer.from("format");
const FORMAT = "3";
/** Records forgotten in one transaction: bounds its memory and how long other writes wait for it. */
const TRUNCATE_AT_ONCE = 10_000;

/**
 * Opens the log kept in a folder of its own. Throws E_LOCKED where another process writes to it, E_LOG_IO where the
 * folder cannot be used, E_LOG_CORRUPT where it is damaged.
 */
export async function openEmbeddedLog(folder: string, options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  assertSound(folder);
  const files = LmdbFolder.open(folder, !options.exclusive);
  try {
    const meta = files.table("meta");
    const records = files.table("records");
    const arrivals = files.table("arrivals");
    const spared = files.table("spared");
    if (meta === null || records === null) {
      throw new SluiceError(
        "E_LOG_IO",
        `Expected an embedded log in ${folder}, found an empty one. Run \`sluice ingest\` first.`,
      );
    }
    const format = meta.get(FORMAT_KEY)?.toString();
    if (format !== undefined && format !== FORMAT) {
      throw new SluiceError(
        "E_LOG_IO",
        `Expected an embedded log of format ${FORMAT} in ${folder}, found format ${format}. Open it with the Sluice that wrote it.`,
      );
    }
    const ownership = options.exclusive ? await takeOwnership(files, meta, options.command) : null;
    if (options.exclusive) markOpen(folder, options.command);
    if (format === undefined && ownership !== null) {
      files.writeNow(() => {
        meta.put(FORMAT_KEY, Buffer.from(FORMAT));
      });
    }
    const nowMs = (options.exclusive ? options.nowMs : undefined) ?? Date.now;
    const table = new PartitionTable(files, { meta, records, arrivals, spared }, nowMs);
    return new EmbeddedLog(files, table, ownership, () => currentHolder(meta));
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** A log in one folder of this machine, on LMDB. What an append has returned survives the loss of process and power. */
export class EmbeddedLog implements Log {
  readonly #files: LmdbFolder;
  readonly #table: PartitionTable;
  readonly #ownership: Ownership | null;
  readonly #holder: () => ReturnType<typeof currentHolder>;
  readonly #wakeUps = new WakeUps();
  readonly #turns = new Turns();
  readonly #tables = new Map<string, EmbeddedTable>();

  /** Use `openEmbeddedLog`. */
  constructor(
    files: LmdbFolder,
    table: PartitionTable,
    ownership: Ownership | null,
    holder: () => ReturnType<typeof currentHolder>,
  ) {
    this.#files = files;
    this.#table = table;
    this.#ownership = ownership;
    this.#holder = holder;
  }

  /** Who writes to the folder, and whether that process is known to live; null where nobody does. */
  holder(): { holder: Holder; alive: "alive" | "dead" | "unknown" } | null {
    this.#files.refresh();
    return this.#holder();
  }

  async ensureTopic(topic: string, partitions: number): Promise<void> {
    await this.#write(() => {
      this.#table.createTopic(topic, partitions);
    });
  }

  async identity(topic: string): Promise<LogIdentity> {
    this.#files.refresh();
    return { kind: "embedded", id: this.#table.identity(topic) };
  }

  async ends(topic: string): Promise<readonly PartitionEnds[]> {
    this.#files.refresh();
    return Array.from({ length: this.#table.partitions(topic) }, (_, partition) => {
      const { start, end } = this.#table.bounds(topic, partition);
      return { start, end };
    });
  }

  async offsetsAt(topic: string, timeMs: number): Promise<readonly number[]> {
    this.#files.refresh();
    return Array.from({ length: this.#table.partitions(topic) }, (_, partition) =>
      this.#table.offsetAt(topic, partition, timeMs),
    );
  }

  async append(topic: string, partition: number, records: readonly LogRecord[], cursor?: Cursor): Promise<number> {
    const encoded = encodeRecords(records);
    const first = await this.#write(() => {
      if (cursor !== undefined) this.#table.setCursor(cursor.name, cursor.value);
      return this.#table.append(topic, partition, encoded);
    });
    this.#wakeUps.wake(partitionName(topic, partition));
    return first;
  }

  async cursor(name: string): Promise<string | null> {
    this.#files.refresh();
    return this.#table.cursor(name);
  }

  async fetch(topic: string, partition: number, offsets: readonly number[]): Promise<readonly StoredRecord[]> {
    this.#files.refresh();
    const ascending = [...offsets].sort((a, b) => a - b);
    return ascending.flatMap((offset) => this.#table.at(topic, partition, offset) ?? []);
  }

  async consume(
    topic: string,
    group: string,
    task: (assignment: Assignment) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    this.#files.refresh();
    await consumePartitions({
      partitions: this.#table.partitions(topic),
      turn: (partition, until) => this.#turns.take(JSON.stringify([topic, group, partition]), until),
      task: (partition, until) => task(this.#assignment(topic, group, partition, until)),
      signal,
    });
  }

  #assignment(topic: string, group: string, partition: number, signal: AbortSignal): Assignment {
    const place = { folder: this.#files, table: this.#table, wakeUps: this.#wakeUps, topic, partition, signal };
    return {
      partition,
      signal,
      read: (offset, options) => readPartition(place, offset, options),
      commit: (offset) =>
        this.transaction((transaction) => {
          transaction.commit(group, topic, partition, offset);
        }),
      committed: async () => {
        this.#files.refresh();
        return this.#table.committed(group, topic, partition);
      },
    };
  }

  /** The offset that a group has committed in a partition, or null: for those who look on. */
  async committed(group: string, topic: string, partition: number): Promise<number | null> {
    this.#files.refresh();
    return this.#table.committed(group, topic, partition);
  }

  topics(): string[] {
    this.#files.refresh();
    return this.#table.topics();
  }

  /** What the log has of each partition. */
  async held(topic: string): Promise<readonly HeldRecords[]> {
    this.#files.refresh();
    return Array.from({ length: this.#table.partitions(topic) }, (_, partition) => this.#table.held(topic, partition));
  }

  /** Of each partition, the first offset from which on it holds at most so many bytes. */
  async offsetsWithin(topic: string, sizeBytes: number): Promise<readonly number[]> {
    this.#files.refresh();
    return Array.from({ length: this.#table.partitions(topic) }, (_, partition) =>
      this.#table.offsetWithin(topic, partition, sizeBytes),
    );
  }

  /** Forgets records (retention); readers see the hole. The room that they took is used again. */
  async truncate(topic: string, partition: number, truncation: Truncation): Promise<void> {
    while (await this.#write(() => this.#table.truncate(topic, partition, truncation, TRUNCATE_AT_ONCE)));
    this.#wakeUps.wake(partitionName(topic, partition));
  }

  /** Forgets records that truncations have spared. */
  async forgetSpared(topic: string, partition: number, offsets: readonly number[]): Promise<void> {
    if (offsets.length === 0) return;
    await this.#write(() => {
      this.#table.forgetSpared(topic, partition, offsets);
    });
  }

  /** Of a partition that nothing was ever appended to: the first record gets this offset. */
  async beginAt(topic: string, partition: number, offset: number): Promise<void> {
    await this.#write(() => {
      this.#table.beginAt(topic, partition, offset);
    });
  }

  /** A map from bytes to bytes beside the log, on disk. One object per name. */
  table(name: string): EmbeddedTable {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const made = new EmbeddedTable(name, this.#files, (work) => this.#write(work));
    this.#tables.set(name, made);
    return made;
  }

  /** Does all of what `work` asks for, or nothing where it throws. `work` must not wait for anything. On disk when it settles. */
  async transaction<T>(work: (transaction: LogTransaction) => T): Promise<T> {
    const grown = new Set<string>();
    const result = await this.#write(() =>
      work({
        append: (topic, partition, records, cursor) => {
          const first = this.#table.append(topic, partition, encodeRecords(records));
          if (cursor !== undefined) this.#table.setCursor(cursor.name, cursor.value);
          grown.add(partitionName(topic, partition));
          return first;
        },
        commit: (group, topic, partition, offset) => {
          this.#table.setCommitted(group, topic, partition, offset);
        },
        get: (table, key) => table.get(key),
        put: (table, key, value) => {
          table.putInTransaction(key, value);
        },
        delete: (table, key) => {
          table.deleteInTransaction(key);
        },
        clear: (table) => {
          table.clearInTransaction();
        },
      }),
    );
    for (const partition of grown) this.#wakeUps.wake(partition);
    return result;
  }

  /** Writes a log of the same records into an empty folder; tables beside the log are left out. See `copyLog`. */
  async copyTo(folder: string, change: ChangeRecord): Promise<void> {
    this.#files.refresh();
    await copyLog(this.#files, folder, change);
  }

  async #write<T>(work: () => T): Promise<T> {
    return this.#files.write(() => {
      this.#ownership?.assertHeld();
      return work();
    });
  }

  /** Lets the folder go. Readers that still wait end with E_LOG_IO. */
  async close(): Promise<void> {
    if (this.#files.closed) return;
    let isReleased = false;
    try {
      this.#ownership?.release();
      isReleased = this.#ownership !== null;
    } finally {
      await this.#files.close();
      if (isReleased) markClosed(this.#files.folder);
      this.#wakeUps.wakeAll();
    }
  }
}
