import type { LogRecord, StoredRecord } from "../../schemas/image-record.js";
import type { LogIdentity } from "../../schemas/stream-log.js";

export interface LogBatch {
  readonly records: readonly StoredRecord[];
  /** Offset after the last record of this batch; the next batch starts there or later. */
  readonly end: number;
  /** Offset that the next appended record will get, as known at this moment: end..logEnd is the lag. */
  readonly logEnd: number;
}

export interface ReadOptions {
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** The iteration ends when this offset is reached. A promise may settle while reading goes on. Default: never. */
  readonly until?: number | Promise<number>;
}

/** One partition, given to this process until `signal` aborts. */
export interface Assignment {
  readonly partition: number;
  readonly signal: AbortSignal;
  /**
   * Batches from `offset` on, waiting for new records at the log's end; each is read only when asked for (backpressure).
   * Throws E_LOG_RANGE where `offset` is past the log's end; where it lies before the log's start, the first batch
   * begins at the start (the reader sees the hole).
   */
  read(offset: number, options: ReadOptions): AsyncIterable<LogBatch>;
  /** Records that everything below `offset` is dealt with. */
  commit(offset: number): Promise<void>;
  /** The committed offset, or null. */
  committed(): Promise<number | null>;
}

export interface PartitionEnds {
  /** First offset still there */
  readonly start: number;
  /** Offset of the next record */
  readonly end: number;
}

/** A durable, partitioned, append-only log of records. Implementations: embedded (LMDB), kafka. */
export interface Log {
  /** Creates the topic where it is absent. Throws E_LOG_IO where it has fewer partitions. */
  ensureTopic(topic: string, partitions: number): Promise<void>;
  /** Which topic of that name it is: one that was made anew has another id. */
  identity(topic: string): Promise<LogIdentity>;
  /** One entry a partition. */
  ends(topic: string): Promise<readonly PartitionEnds[]>;
  /**
   * Of each partition, the first offset that came into the log at or after `timeMs`, by the log's own clock (Kafka: by its
   * timestamp, which other producers may set); the end where none did. What came before the log's start is not found.
   */
  offsetsAt(topic: string, timeMs: number): Promise<readonly number[]>;
  /**
   * Appends durably; returns the first record's offset. A cursor is stored with the records: a producer that resumes from it
   * skips nothing. The embedded log stores both in one transaction, so that nothing is repeated either; Kafka has the cursor after
   * them, so that a producer that was killed in between repeats that append.
   */
  append(topic: string, partition: number, records: readonly LogRecord[], cursor?: Cursor): Promise<number>;
  cursor(name: string): Promise<string | null>;
  /** Records at given offsets (ascending), for retries; absent ones are left out. */
  fetch(topic: string, partition: number, offsets: readonly number[]): Promise<readonly StoredRecord[]>;
  /**
   * Joins the group and runs `task` for each partition that this member is given, until `signal` aborts or every task
   * has ended. A task that throws ends the others and is rethrown.
   */
  consume(
    topic: string,
    group: string,
    task: (assignment: Assignment) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  close(): Promise<void>;
}

export interface Cursor {
  readonly name: string;
  readonly value: string;
}
