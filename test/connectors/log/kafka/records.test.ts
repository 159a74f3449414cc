import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { committedRecords, endOf, outgoing, type RawRecord } from "../../../../connectors/log/kafka/records.js";

/** A log of batches as a broker keeps it: records of transactions among others', each ended by a marker. */
interface Written {
  readonly raw: RawRecord[];
  readonly aborted: { producerId: string; firstOffset: string }[];
  /** Offsets of what a reader may see */
  readonly visible: number[];
}

const COMMIT = Buffer.from([0, 0, 0, 1]);
const ABORT = Buffer.from([0, 0, 0, 0]);

function record(offset: number, producerId: string, inTransaction: boolean, marker?: Buffer): RawRecord {
  return {
    offset: String(offset),
    timestamp: "1700000000000",
    key: marker ?? null,
    value: Buffer.from(String(offset)),
    headers: {},
    isControlRecord: marker !== undefined,
    batchContext: { firstOffset: String(offset), lastOffsetDelta: 0, producerId, inTransaction },
  };
}

type Step = { producer: number; act: "write" | "commit" | "abort" | "plain" };

function write(steps: readonly Step[]): Written {
  const raw: RawRecord[] = [];
  const open = new Map<number, number[]>();
  const aborted: { producerId: string; firstOffset: string }[] = [];
  const visible: number[] = [];
  for (const { producer, act } of steps) {
    const offset = raw.length;
    if (act === "plain") {
      raw.push(record(offset, "-1", false));
      visible.push(offset);
    } else if (act === "write") {
      raw.push(record(offset, String(producer), true));
      open.set(producer, [...(open.get(producer) ?? []), offset]);
    } else if (open.has(producer)) {
      raw.push(record(offset, String(producer), true, act === "commit" ? COMMIT : ABORT));
      const own = open.get(producer)!;
      open.delete(producer);
      if (act === "commit") visible.push(...own);
      else aborted.push({ producerId: String(producer), firstOffset: String(own[0]) });
    }
  }
  // A broker serves nothing from an open transaction on.
  const stable = Math.min(raw.length, ...[...open.values()].map(([first]) => first!));
  return { raw: raw.slice(0, stable), aborted, visible: visible.filter((o) => o < stable).sort((a, b) => a - b) };
}

const steps = fc.array(
  fc.record<Step>({
    producer: fc.integer({ min: 1, max: 3 }),
    act: fc.constantFrom("write", "write", "plain", "commit", "abort"),
  }),
  { maxLength: 60 },
);

test("a reader sees committed records, each once, wherever it starts", () => {
  fc.assert(
    fc.property(steps, fc.nat(60), (acts, from) => {
      const { raw, aborted, visible } = write(acts);
      const end = raw.length;
      // A broker names the aborted transactions that reach into what it serves.
      const seen = committedRecords(
        raw,
        aborted.filter(({ firstOffset }) => Number(firstOffset) < end),
        from,
      );
      assert.deepEqual(
        seen.map(({ offset }) => offset),
        visible.filter((offset) => offset >= from),
      );
      assert.equal(endOf(raw), end === 0 ? null : end);
    }),
  );
});

test("a record's own time travels beside Kafka's, and comes back", () => {
  const own = { key: null, value: Buffer.from("v"), headers: { own: "header" }, timestampMs: 1_000 };
  const sent = outgoing(own, 3, 1_800_000_000_000);
  assert.equal(sent.timestamp, "1800000000000");
  const headers = Object.fromEntries(Object.entries(sent.headers).map(([name, text]) => [name, Buffer.from(text)]));
  const raw: RawRecord = {
    ...record(7, "-1", false),
    timestamp: sent.timestamp,
    value: sent.value,
    headers,
  };
  assert.deepEqual(committedRecords([raw], [], 0), [{ ...own, offset: 7 }]);
  // Another producer's
  assert.equal(committedRecords([record(8, "-1", false)], [], 0)[0]!.timestampMs, 1_700_000_000_000);
  for (const text of ["", "yesterday", "NaN"]) {
    const garbage = { ...record(9, "-1", false), headers: { "sluice-timestamp": Buffer.from(text) } };
    assert.equal(committedRecords([garbage], [], 0)[0]!.timestampMs, 1_700_000_000_000);
  }
});

test("the end is after what compaction took from the last batch", () => {
  const last = record(7, "-1", false);
  assert.equal(endOf([{ ...last, batchContext: { ...last.batchContext, firstOffset: "5", lastOffsetDelta: 9 } }]), 15);
});

test("a header that repeats has its last value; any name is a name", () => {
  const raw = record(0, "-1", false);
  const headers = {
    a: [Buffer.from("1"), Buffer.from("2")],
    b: Buffer.from("ü"),
    ["__proto__"]: Buffer.from("p"),
    c: null,
  };
  const [read] = committedRecords([{ ...raw, headers }], [], 0);
  assert.deepEqual(Object.entries(read!.headers), [
    ["a", "2"],
    ["b", "ü"],
    ["__proto__", "p"],
    ["c", ""],
  ]);
});
