import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTraceparent, traceparentOf, tracedHeaders, tracedIn, type TracedImage } from "../../schemas/trace.js";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test("a traceparent is read as W3C Trace Context says", () => {
  const sampled = { traceId: TRACE, spanId: SPAN };
  assert.deepEqual(parseTraceparent(`00-${TRACE}-${SPAN}-01`), sampled);
  assert.deepEqual(parseTraceparent(`00-${TRACE}-${SPAN}-03`), sampled, "other flags beside");
  assert.deepEqual(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`), sampled, "a later version may say more");
  assert.equal(traceparentOf(sampled), `00-${TRACE}-${SPAN}-01`);
  for (const text of [
    undefined,
    "",
    `00-${TRACE}-${SPAN}-00`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
  ]) {
    assert.equal(parseTraceparent(text), null, text);
  }
});

test("a record that tells of many images names those that are traced, so many and no more", () => {
  const images = Array.from({ length: 100 }, (_, offset): TracedImage => {
    return { partition: 3, offset, trace: { traceId: TRACE, spanId: SPAN } };
  });
  assert.deepEqual(tracedIn(tracedHeaders(images.slice(0, 5))), images.slice(0, 5));
  assert.equal(tracedIn(tracedHeaders(images)).length, 64);
  assert.deepEqual(tracedHeaders([]), {});
  assert.deepEqual(tracedIn({}), []);
  assert.deepEqual(tracedIn({ "sluice-traced": `no,3:1,3:x:00-a,4:7:00-${TRACE}-${SPAN}-01` }), [
    { partition: 4, offset: 7, trace: { traceId: TRACE, spanId: SPAN } },
  ]);
});
