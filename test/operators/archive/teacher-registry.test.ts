import assert from "node:assert/strict";
import { test } from "node:test";
import { cardNamed, readCards, saveCard } from "../../../operators/archive/teacher-registry.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { testCard } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const invented = { ...testCard(3), labels: ["class-0", "class-1", "class-2"] };
const first = { ...invented, labels: ["cat", "dog", "emu"] };
const second = { ...invented, labels: ["cat", "wolf", "emu"] };
const teacher = teacherDigest(invented);

test("what classes are called is no part of a teacher's digest; how many there are is", () => {
  assert.equal(teacherDigest(first), teacher);
  assert.notEqual(teacherDigest({ ...first, labels: ["cat", "dog"] }), teacher);
  assert.notEqual(teacherDigest({ ...first, temperature: 2 }), teacher);
});

test("names are remembered, the newest stand, and those before are known", async () => {
  const store = openMemoryStore();
  assert.equal((await saveCard(store, invented)).before, null);
  assert.deepEqual((await saveCard(store, first)).before, invented.labels);
  assert.deepEqual((await saveCard(store, first)).before, null);
  assert.deepEqual((await saveCard(store, second)).before, first.labels);
  const card = (await readCards(store)).get(teacher)!;
  assert.deepEqual(card.labels, second.labels);
  assert.deepEqual(card.formerLabels, [first.labels, invented.labels]);
  assert.deepEqual(cardNamed(card, first.labels).formerLabels, [invented.labels]);
  assert.deepEqual(cardNamed(card, invented.labels).formerLabels, []);
});

test("names that nobody gave replace none, and a process with an older card turns none back", async () => {
  const store = openMemoryStore();
  for (const card of [first, second]) await saveCard(store, card);
  const unnamed = await saveCard(store, invented, "any");
  assert.deepEqual([unnamed.card.labels, unnamed.passedOver], [second.labels, invented.labels]);
  const stale = await saveCard(store, first, "new");
  assert.deepEqual([stale.card.labels, stale.passedOver], [second.labels, first.labels]);
  // Asked for, they come back.
  assert.deepEqual((await saveCard(store, first, "any")).before, second.labels);
  assert.deepEqual((await readCards(store)).get(teacher)!.labels, first.labels);
});

test("of processes that name classes at once each is told what stands", async () => {
  const store = openMemoryStore();
  await saveCard(store, invented);
  const names = Array.from({ length: 6 }, (_, at) => ({ ...invented, labels: ["a", "b", `c${at}`] }));
  await Promise.all(names.map((card) => saveCard(store, card)));
  const { labels, formerLabels } = (await readCards(store)).get(teacher)!;
  assert.equal(new Set([labels, ...formerLabels!].map((one) => one[2])).size, 7);
});

test("damaged names and names of another number of classes are named by their key", async () => {
  const store = openMemoryStore();
  await saveCard(store, invented);
  await saveCard(store, first);
  const key = keys.teacherLabels(teacher, 1);
  for (const text of ["{", '{"schemaVersion":1,"labels":["a","b"]}']) {
    await store.put(key, Buffer.from(text));
    await assert.rejects(
      readCards(store),
      (error) => isSluiceError(error, "E_TEACHER_CARD") && error.message.includes(key),
    );
  }
  await store.delete(key);
  await store.put(keys.teacherLabels(teacher, 2), Buffer.from('{"schemaVersion":1,"labels":["a","b","c"]}'));
  await assert.rejects(readCards(store), (error) => isSluiceError(error, "E_TEACHER_CARD"));
});
