import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { DigestSet } from "../../../operators/topk/digest-set.js";

test("counts as a set of texts does, also where digests are alike", () => {
  // Few values a byte: first words, tables and slots collide, and an all-zero digest comes up.
  const digest = fc.array(fc.constantFrom(0, 1, 255), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(fc.array(digest, { maxLength: 300 }), fc.nat(3), (digests, zeros) => {
      const set = new DigestSet();
      const model = new Set<string>();
      for (const sixteen of digests) {
        const bytes = new Uint8Array(40).fill(7);
        bytes.set(sixteen, 8);
        bytes.fill(0, 8, 8 + zeros * 4);
        const name = bytes.subarray(8, 24).join();
        assert.equal(set.add(bytes, 8), !model.has(name));
        model.add(name);
      }
      assert.equal(set.size, model.size);
    }),
  );
});

test("counts 50,000 digests, each added twice", () => {
  const set = new DigestSet();
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 50_000; index++) {
      const bytes = createHash("sha256").update(String(index)).digest();
      assert.equal(set.add(bytes, 0), round === 0);
    }
  }
  assert.equal(set.size, 50_000);
});
