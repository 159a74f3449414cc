import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeImageRecord } from "../../schemas/image-record.js";

const NOW_MS = Date.UTC(2026, 10, 29, 12);

function eventTimeOf(header: string | null, timestampMs = NOW_MS): number {
  const headers = header === null ? {} : { "sluice-event-time": header };
  const record = { offset: 5, key: null, value: new Uint8Array([1]), headers, timestampMs };
  return decodeImageRecord(record, { stream: "odd", partition: 0 }).eventTimeMs;
}

describe("the event time that a producer gives", () => {
  test("is its header, else the record's timestamp, whatever that is", () => {
    assert.equal(eventTimeOf(String(NOW_MS)), NOW_MS);
    assert.equal(eventTimeOf(null, 7), 7);
    for (const old of [0, 1000, 8_640_000, 100_000_000_000]) assert.equal(eventTimeOf(String(old)), old);
  });

  test("is whole, and what is no time costs that image: an archive has no place for it", () => {
    assert.equal(eventTimeOf(null, 1.5), 1);
    assert.equal(eventTimeOf(null, -0.5), -0);
    assert.equal(eventTimeOf(null, -8.64e15), -8.64e15);
    for (const none of [8.64e15 + 1, 1e300, -1e300, Infinity, NaN, 2 ** 53])
      assert.throws(() => eventTimeOf(null, none), { code: "E_RECORD_SCHEMA", message: /found .* at odd\/0\/5/ });
    assert.throws(() => eventTimeOf("9007199254740991"), { code: "E_RECORD_SCHEMA" });
  });

  test("in seconds costs that image, and the message says what to write", () => {
    assert.throws(() => eventTimeOf(String(NOW_MS / 1000)), {
      code: "E_RECORD_SCHEMA",
      message:
        "Expected ms since 1970 in header sluice-event-time, found 1795953600 at odd/0/5, which is 1970-01-21T18:52:33.600Z. " +
        "It looks like seconds (2026-11-29T12:00:00.000Z): write 1795953600000, and produce the image again.",
    });
    assert.throws(() => eventTimeOf("2026-11-29T12:00:00Z"), { code: "E_RECORD_SCHEMA" });
    // 1 January 2000
    assert.throws(() => eventTimeOf("946684800"), { message: /It looks like seconds .*: write 946684800000,/ });
  });

  test("in microseconds or nanoseconds is told as what it looks like, and so are seconds in the record's own timestamp", () => {
    const micros = { code: "E_RECORD_SCHEMA", message: /It looks like microseconds .*: write 1795953600000,/ };
    assert.throws(() => eventTimeOf(`${NOW_MS}000`), micros);
    assert.throws(() => eventTimeOf(null, NOW_MS * 1000), micros);
    assert.throws(() => eventTimeOf(`${NOW_MS}000000`), {
      code: "E_RECORD_SCHEMA",
      message: /found 1795953600000000000 at odd\/0\/5\. It looks like nanoseconds .*: write 1795953600000,/,
    });
    assert.throws(() => eventTimeOf(null, NOW_MS / 1000), {
      code: "E_RECORD_SCHEMA",
      message: /as the record's timestamp, found 1795953600 .*It looks like seconds .*: write 1795953600000,/,
    });
  });
});
