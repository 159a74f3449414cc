import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openEmbeddedLog } from "../../../../connectors/log/embedded/embedded-log.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const WRITER = { exclusive: true, command: "test" } as const;

type Step =
  | { readonly put: readonly (readonly [Uint8Array, Uint8Array])[] }
  | { readonly delete: readonly Uint8Array[] }
  | { readonly clear: true };

test("a table is a map ordered by its keys' bytes, also after opening again", async (t) => {
  const folder = await temporaryFolder(t);
  let log = await openEmbeddedLog(folder, WRITER);
  const key = fc.uint8Array({ minLength: 1, maxLength: 4 });
  const value = fc.uint8Array({ maxLength: 40 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 5, arbitrary: fc.record({ put: fc.array(fc.tuple(key, value), { maxLength: 8 }) }) },
    { weight: 2, arbitrary: fc.record({ delete: fc.array(key, { maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.constant({ clear: true } as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), fc.tuple(key, key), async (steps, [from, to]) => {
      const table = log.table("t");
      await table.clear();
      const model = new Map<string, Uint8Array>();
      for (const one of steps) {
        if ("put" in one) {
          await table.putMany(one.put);
          for (const [k, v] of one.put) model.set(hex(k), v);
        } else if ("delete" in one) {
          await table.deleteMany(one.delete);
          for (const k of one.delete) model.delete(hex(k));
        } else {
          await table.clear();
          model.clear();
        }
      }
      const expected = [...model].map(([k, v]) => [k, hex(v)]).sort(([a], [b]) => (a! < b! ? -1 : 1));
      const found = (entries: Iterable<[Uint8Array, Uint8Array]>): string[][] =>
        [...entries].map(([k, v]) => [hex(k), hex(v)]);
      assert.deepEqual(found(table.entries()), expected);
      assert.deepEqual(
        found(table.entries({ from, to })),
        expected.filter(([k]) => k! >= hex(from) && k! < hex(to)),
      );
      assert.equal(table.size, model.size);
      const asked = [...model.keys(), hex(from)].map((k) => Buffer.from(k, "hex"));
      assert.deepEqual(
        table.getMany(asked).map((v) => v && hex(v)),
        asked.map((k) => model.get(hex(k))).map((v) => v && hex(v)),
      );
    }),
    { numRuns: 60 },
  );
  await log.table("t").clear();
  await log.table("t").put(Buffer.from("a"), Buffer.from("1"));
  await log.table("other").put(Buffer.from("a"), Buffer.from("2"));
  await log.close();
  log = await openEmbeddedLog(folder, WRITER);
  assert.deepEqual([...log.table("t").entries()], [[Buffer.from("a"), Buffer.from("1")]]);
  assert.deepEqual(log.table("other").get(Buffer.from("a")), Buffer.from("2"));
  await log.close();
});

test("all of many entries are met, each once", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  const table = log.table("many");
  const keys = Array.from({ length: 3_500 }, (_, i) => Buffer.from(String(i * 7919)));
  await table.putMany(keys.map((key) => [key, key]));
  const met = [...table.entries()].map(([key]) => Buffer.from(key).toString());
  assert.deepEqual(met, keys.map(String).sort());
  await log.close();
});

test("a value returned is the caller's own", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  const table = log.table("t");
  await table.putMany([
    [Buffer.from("a"), Buffer.from("one")],
    [Buffer.from("b"), Buffer.from("two")],
  ]);
  const one = table.get(Buffer.from("a"))!;
  table.get(Buffer.from("b"));
  assert.equal(Buffer.from(one).toString(), "one");
  one.fill(0);
  assert.equal(Buffer.from(table.get(Buffer.from("a"))!).toString(), "one");
  await log.close();
});

test("a key that the database cannot hold is refused, and nothing of that call is kept", async (t) => {
  const log = await openEmbeddedLog(await temporaryFolder(t), WRITER);
  const table = log.table("t");
  for (const key of [new Uint8Array(0), new Uint8Array(1979)]) {
    const entries = [[Buffer.from("a"), Buffer.from("1")] as const, [key, key] as const];
    await assert.rejects(table.putMany(entries), (error) => isSluiceError(error, "E_INTERNAL"));
  }
  assert.equal(table.size, 0);
  await table.put(new Uint8Array(1978), Buffer.from("1"));
  assert.equal(table.size, 1);
  await log.close();
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
