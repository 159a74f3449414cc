import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import {
  committedRecords,
  endOf,
  type AbortedTransaction,
  type RawRecord,
} from "../../../connectors/log/kafka/records.js";
import { registerCodecs } from "../../../connectors/log/kafka/codecs.js";
import { decodeRecord, encodeRecord } from "../../../connectors/log/embedded/record-bytes.js";
import { decodeImageRecord, type StoredRecord } from "../../../schemas/image-record.js";
import { decodeCandidates } from "../../../schemas/wire/candidates.js";
import { decodeLabel } from "../../../schemas/wire/labels.js";
import { decodePublished } from "../../../schemas/wire/published.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { decodeStreamStore } from "../../../schemas/wire/stream-store.js";
import { decodeThresholds } from "../../../schemas/wire/thresholds.js";
import { ROOT } from "../../architecture/repository.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, mutateBytes, mutateJson, oneOf } from "../mutate.js";

const PLACE = { topic: "images", stream: "images", partition: 0 };
const READERS: readonly ((record: StoredRecord) => unknown)[] = [
  (record) => decodeImageRecord(record, PLACE),
  (record) => decodeCandidates(record, PLACE),
  (record) => decodeLabel(record, PLACE),
  (record) => decodePublished(record, PLACE),
  (record) => decodeQuarantined(record, PLACE),
  (record) => decodeStreamStore(record, PLACE),
  (record) => decodeThresholds(record, PLACE),
];

interface Golden {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Record<string, string>;
  readonly timestampMs: number;
}

function goldens(): Golden[] {
  const folder = join(ROOT, "test", "fixtures", "wire");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Golden);
}

const unhexed = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, "hex"));

/** Every reader of records, whatever topic it is of. Each takes it or refuses it; one refusal hides none of the others' faults. */
function readByAll(record: StoredRecord): void {
  const refusals: unknown[] = [];
  for (const read of READERS) {
    try {
      read(record);
    } catch (error) {
      if ((error as { code?: string }).code !== "E_RECORD_SCHEMA") throw error;
      refusals.push(error);
    }
  }
  if (refusals.length === READERS.length) throw refusals[0];
}

const HEADERS = [
  "sluice-schema",
  "sluice-uri",
  "sluice-event-time",
  "sluice-licence",
  "sluice-origin",
  "sluice-retry-of",
  "__proto__",
];
const TEXTS = [
  "",
  "1",
  "2",
  "-1",
  "1e400",
  "NaN",
  "9".repeat(400),
  "\u0000",
  "file:///etc/passwd",
  "../..",
  "Infinity",
  "0x10",
];

export const KAFKA_RECORDS: FuzzTarget = {
  name: "kafka-records",
  what: "keys, values and headers of records of every topic",
  extension: "json",
  prepare: async () => {
    const corpus = goldens();
    return {
      make: (next) => {
        const golden = oneOf(next, corpus);
        const headers = { ...golden.headers };
        if (next() < 0.4)
          Object.defineProperty(headers, oneOf(next, HEADERS), { value: oneOf(next, TEXTS), enumerable: true });
        const value = unhexed(golden.value);
        const isJson = value?.[0] === 0x7b;
        const other = unhexed(oneOf(next, corpus).value) ?? Buffer.alloc(0);
        const changed = value === null ? null : isJson ? mutateJson(next, value) : mutateBytes(next, value, other);
        const hex = changed === null || next() < 0.03 ? null : Buffer.from(changed).toString("hex");
        return Buffer.from(JSON.stringify({ ...golden, headers, value: hex }));
      },
      run: async (input) => {
        const { key, value, headers, timestampMs } = JSON.parse(Buffer.from(input).toString()) as Golden;
        const record = { key: unhexed(key), value: unhexed(value), headers, timestampMs, offset: 0 };
        readByAll(decodeRecord(encodeRecord(record), 0));
        readByAll(record);
      },
    };
  },
};

interface Answer {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly messages: RawRecord[];
      readonly abortedTransactions?: AbortedTransaction[];
    }[];
  }[];
}

/** The client's own parts: it exports none of them. */
const require = createRequire(import.meta.url);
const client = (path: string): unknown => require(join(ROOT, "node_modules", "kafkajs", "src", "protocol", path));

/** What a broker answers to a fetch of one partition, as the client writes batches itself. */
async function fetchAnswers(): Promise<{ readonly answers: Buffer[]; readonly headBytes: number }> {
  registerCodecs();
  const Encoder = client("encoder") as new () => Record<string, (value: unknown) => unknown> & {
    readonly buffer: Buffer;
  };
  const { RecordBatch } = client("recordBatch/v0") as { RecordBatch: (batch: object) => Promise<{ buffer: Buffer }> };
  const Record = client("recordBatch/record/v0") as (record: object) => unknown;
  const answers: Buffer[] = [];
  let headBytes = 0;
  for (const compression of [0, 1, 2, 3, 4]) {
    const records = goldens().map(({ key, value, headers }, at) =>
      Record({ offsetDelta: at, timestampDelta: at, key: unhexed(key), value: unhexed(value), headers }),
    );
    const batch = await RecordBatch({
      compression,
      records,
      firstTimestamp: 0,
      maxTimestamp: 9,
      lastOffsetDelta: records.length - 1,
    });
    const encoder = new Encoder();
    for (const write of [
      ["writeInt32", 0],
      ["writeInt16", 0],
      ["writeInt32", 0],
      ["writeInt32", 1],
      ["writeString", "images"],
      ["writeInt32", 1],
      ["writeInt32", 0],
      ["writeInt16", 0],
      ["writeInt64", 9],
      ["writeInt64", 9],
      ["writeInt64", 0],
      ["writeInt32", 0],
      ["writeInt32", -1],
      ["writeInt32", batch.buffer.length],
    ] as const)
      encoder[write[0]]!(write[1]);
    headBytes = encoder.buffer.length;
    answers.push(Buffer.concat([encoder.buffer, batch.buffer]));
  }
  return { answers, headBytes };
}

export const KAFKA_BATCHES: FuzzTarget = {
  name: "kafka-batches",
  what: "a broker's answers to fetches: record batches of every compression, down to our records",
  extension: "bin",
  prepare: async () => {
    const { answers: corpus, headBytes } = await fetchAnswers();
    const { decode } = client("requests/fetch/v11/response.js") as { decode: (bytes: Buffer) => Promise<Answer> };
    return {
      make: (next) => {
        const answer = oneOf(next, corpus);
        const made = Buffer.from(mutateBytes(next, answer, oneOf(next, corpus)));
        // The length of the records as it is now, else the client waits for the rest of them.
        if (next() < 0.5 && made.length > headBytes) made.writeInt32BE(made.length - headBytes, headBytes - 4);
        return next() < 0.05 ? made.subarray(0, below(next, made.length)) : made;
      },
      run: async (bytes) => {
        let answer: Answer;
        try {
          answer = await decode(Buffer.from(bytes));
        } catch (error) {
          // The client's own words for an answer that it cannot read. A reader says them as E_LOG_IO, and asks again.
          if (error instanceof Error) return;
          throw error;
        }
        for (const { messages, abortedTransactions } of answer.responses.flatMap(({ partitions }) => partitions)) {
          endOf(messages);
          for (const record of committedRecords(messages, abortedTransactions ?? [], 0)) {
            try {
              readByAll(record);
            } catch (error) {
              if ((error as { code?: string }).code !== "E_RECORD_SCHEMA") throw error;
            }
          }
        }
      },
    };
  },
};
