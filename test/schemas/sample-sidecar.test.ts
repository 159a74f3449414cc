import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SIDECAR_FIELDS, sidecarText, type Sidecar } from "../../schemas/sample-sidecar.js";

/** As Python's json module tells an integer from a float: by a point or an exponent. */
function pythonType(text: string): "string" | "int" | "float" | "other" {
  if (text.startsWith('"')) return "string";
  if (/^-?\d+$/.test(text)) return "int";
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? "float" : "other";
}

const TYPES = { string: "string", int32: "int", int64: "int", float64: "float" } as const;
const values = {
  string: fc.string({ unit: "grapheme" }),
  int32: fc.integer({ min: 0 }),
  int64: fc.maxSafeInteger(),
  float64: fc.oneof(
    fc.constantFrom(0, -0, 1, -1, -700, 1e21, -1e-300),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  ),
};

test("every sample has every field, each of one type for a reader in Python, with every bit of its value", () => {
  const sidecars = fc.tuple(...SIDECAR_FIELDS.map(({ type }) => values[type] as fc.Arbitrary<string | number>));
  fc.assert(
    fc.property(sidecars, (drawn) => {
      const sidecar = Object.fromEntries(
        SIDECAR_FIELDS.map(({ name }, index) => [name, drawn[index]!]),
      ) as unknown as Sidecar;
      const text = sidecarText(sidecar);
      const read = JSON.parse(text) as Record<string, unknown>;
      assert.deepEqual(
        Object.keys(read),
        SIDECAR_FIELDS.map(({ name }) => name),
      );
      for (const { name, type } of SIDECAR_FIELDS) {
        assert.ok(Object.is(read[name], sidecar[name]), name);
        const found = new RegExp(`[{,]"${name}":("(?:[^"\\\\]|\\\\.)*"|[^,}]*)`).exec(text)![1]!;
        if (type !== "string") assert.equal(pythonType(found), TYPES[type], `${name}: ${found}`);
      }
    }),
    { numRuns: 300 },
  );
});
