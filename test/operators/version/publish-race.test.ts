import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { claimAttempt, sweepAttempts } from "../../../operators/version/attempt.js";
import { publish, type PublishOptions } from "../../../operators/version/publish.js";
import type { ListOptions, Store } from "../../../connectors/store/store.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { sealJson } from "../../../schemas/sealed-json.js";
import { keys } from "../../../schemas/keys.js";
import { listVersions, verifyVersion } from "../../../pipelines/versions/versions.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

const mine = manyClasses(3, () => 4);
const theirs = manyClasses(3, (index) => 5 - index);

/** Runs `between` once, just before the first manifest is created. */
function beforeCommit(store: Store, between: () => Promise<unknown>): Store {
  let ran = false;
  return new Proxy(store, {
    get(target, name, receiver) {
      if (name !== "putIfAbsent") return Reflect.get(target, name, receiver) as unknown;
      return async (key: string, bytes: Uint8Array) => {
        if (!ran && key.endsWith("/manifest.json")) {
          ran = true;
          await between();
        }
        return target.putIfAbsent(key, bytes);
      };
    },
  });
}

/** Publishes my cut while another publisher is quicker. */
async function overtaken(other: typeof mine, change: Partial<PublishOptions> = {}) {
  const store = openMemoryStore();
  const between = () => publish(madeCut(other.classes), publishOptions(other.images, { store }));
  const options = { ...publishOptions(mine.images), ...change, store: beforeCommit(store, between) };
  return { store, published: publish(madeCut(mine.classes), options) };
}

async function folders(store: MemoryStore): Promise<number> {
  return new Set([...store.objects.keys()].map((key) => /data\/([^/]+)/.exec(key)?.[1]).filter(Boolean)).size;
}

describe("a publisher that another one overtakes", () => {
  test("is done where it finds its own content, and removes its files", async () => {
    const { store, published } = await overtaken(mine);
    const { outcome, manifest } = await published;
    assert.equal(outcome, "exists");
    const [only, ...rest] = await collect(listVersions(store, "wild"));
    assert.deepEqual(only, manifest);
    assert.deepEqual(rest, []);
    assert.equal(await folders(store), 1);
    assert.deepEqual((await verifyVersion(store, "wild", 1)).findings, []);
  });

  test("takes the next number where it finds other content, with it as parent", async () => {
    const { store, published } = await overtaken(theirs);
    const { outcome, manifest } = await published;
    assert.equal(outcome, "created");
    const [first, second] = await collect(listVersions(store, "wild"));
    assert.deepEqual(second, manifest);
    assert.equal(manifest.number, 2);
    assert.deepEqual(manifest.provenance.parent, { number: 1, id: first!.id });
    assert.deepEqual((await verifyVersion(store, "wild", 2)).findings, []);
  });

  test("gives up where its policy says so, and removes its files", async () => {
    const { store, published } = await overtaken(theirs, { onConflict: "refuse" });
    await assert.rejects(published, (error) => isSluiceError(error, "E_PUBLISH_CONFLICT"));
    assert.equal((await collect(listVersions(store, "wild"))).length, 1);
    assert.equal(await folders(store), 1);
  });

  test("is refused as an automatic cut below the winner's frontier", async () => {
    const store = openMemoryStore();
    const ahead = [{ partition: 0, origin: 0, end: 200 }];
    const between = () =>
      publish(madeCut(theirs.classes, { frontier: ahead }), publishOptions(theirs.images, { store }));
    const options = { ...publishOptions(mine.images), automatic: true, store: beforeCommit(store, between) };
    await assert.rejects(publish(madeCut(mine.classes), options), /at or above the frontier of version 1/);
    assert.equal(await folders(store), 1);
  });
});

test("of many publishers of the same content one creates, all others find it", async () => {
  const store = openMemoryStore();
  const outcomes = await Promise.all(
    Array.from(
      { length: 8 },
      async () => (await publish(madeCut(mine.classes), publishOptions(mine.images, { store }))).outcome,
    ),
  );
  assert.deepEqual(outcomes.sort(), ["created", ...new Array<string>(7).fill("exists")]);
  assert.equal(await folders(store), 1);
});

test("publishers of different content get one number each", async () => {
  const store = openMemoryStore();
  const cuts = Array.from({ length: 6 }, (_, index) => manyClasses(2, () => index + 1));
  const published = await Promise.all(
    cuts.map(({ classes, images }) => publish(madeCut(classes, { k: 6 }), publishOptions(images, { store }))),
  );
  assert.deepEqual(published.map(({ manifest }) => manifest.number).sort(), [1, 2, 3, 4, 5, 6]);
  for (const { manifest } of published) {
    assert.deepEqual((await verifyVersion(store, "wild", manifest.number)).findings, []);
  }
});

describe("an automatic cut", () => {
  const at = (end: number, partition = 0) => ({ frontier: [{ partition, origin: 0, end }] });
  const publishAt = (store: MemoryStore, rows: number, place: object, automatic: boolean) => {
    const { classes, images } = manyClasses(2, () => rows);
    return publish(madeCut(classes, place), publishOptions(images, { store, automatic }));
  };

  test("is never below its parent's frontier, in any partition", async () => {
    const store = openMemoryStore();
    await publishAt(store, 1, at(100), true);
    await publishAt(store, 2, at(100), true);
    for (const place of [at(99), at(500, 1)]) {
      await assert.rejects(publishAt(store, 3, place, true), (error) => isSluiceError(error, "E_PUBLISH_CONFLICT"));
    }
    assert.equal((await publishAt(store, 3, at(99), false)).manifest.number, 3, "by hand it may be");
  });

  test("is not compared with chains of another teacher", async () => {
    const store = openMemoryStore();
    await publishAt(store, 1, at(100), true);
    const teacher = { digest: "cd".repeat(32), name: "student", labels: ["label 0", "label 1"], temperature: 1 };
    assert.equal((await publishAt(store, 2, { ...at(10), teacher }, true)).outcome, "created");
  });
});

describe("the client of a store repeats a request whose answer was lost", () => {
  test("a publisher knows its own manifest by its commit id", async () => {
    const store = openMemoryStore();
    const repeating: Store = new Proxy(store, {
      get(target, name, receiver) {
        if (name !== "putIfAbsent") return Reflect.get(target, name, receiver) as unknown;
        return async (key: string, bytes: Uint8Array) => {
          await target.putIfAbsent(key, bytes);
          return target.putIfAbsent(key, bytes);
        };
      },
    });
    const { outcome, manifest } = await publish(madeCut(mine.classes), {
      ...publishOptions(mine.images),
      store: repeating,
    });
    assert.equal(outcome, "created");
    assert.equal(manifest.number, 1);
    assert.deepEqual((await verifyVersion(store, "wild", 1)).findings, []);
  });
});

describe("sweeping", () => {
  test("never takes a version, and takes what dead attempts left", async () => {
    const store = openMemoryStore();
    await publish(madeCut(mine.classes), publishOptions(mine.images, { store }));
    const before = [...store.objects.keys()];
    await store.put(`${keys.attempt("wild", "dead")}shards/000000.tar`, new Uint8Array(3));
    await store.put(`${keys.attempt("wild", "dead")}index/000000.parquet`, new Uint8Array(3));
    assert.deepEqual((await sweepAttempts(store, "wild", { consider: (attempt) => attempt !== "dead" })).removed, []);
    assert.deepEqual(await sweepAttempts(store, "wild"), { removed: ["dead"], undecided: [] });
    assert.deepEqual([...store.objects.keys()], before);
  });

  test("leaves an attempt that claimed a number, however old, until another version has that number", async () => {
    const store = openMemoryStore();
    const folder = keys.attempt("wild", "late");
    await store.put(`${folder}README.md`, new Uint8Array(3));
    await claimAttempt(store, folder, { commitId: "commit", number: 1 }, []);
    assert.deepEqual(await sweepAttempts(store, "wild"), { removed: [], undecided: ["late"] });
    assert.equal(store.objects.size, 2);
    await publish(madeCut(mine.classes), publishOptions(mine.images, { store }));
    assert.deepEqual(await sweepAttempts(store, "wild"), { removed: ["late"], undecided: [] });
    assert.deepEqual(
      [...store.objects.keys()].filter((key) => key.startsWith(folder)),
      [],
    );
  });

  test("a publisher that froze after its claim commits a whole version, or none", async () => {
    for (const other of ["published nothing", "published other content"]) {
      const store = openMemoryStore();
      const between = async (): Promise<void> => {
        // Days later, as any publisher does after its own version.
        if (other === "published other content")
          await publish(madeCut(theirs.classes), publishOptions(theirs.images, { store }));
        await sweepAttempts(store, "wild");
      };
      const frozen = publish(madeCut(mine.classes), {
        ...publishOptions(mine.images),
        store: beforeCommit(store, between),
      });
      const outcome = await frozen.then(
        (published) => published.outcome,
        (error: unknown) => {
          assert.ok(isSluiceError(error, "E_PUBLISH_CONFLICT") && error.retryable, String(error));
          return "conflict";
        },
      );
      assert.equal(outcome, other === "published nothing" ? "created" : "conflict");
      const versions = await collect(listVersions(store, "wild"));
      assert.equal(versions.length, 1);
      assert.deepEqual((await verifyVersion(store, "wild", 1)).findings, [], other);
      assert.equal(await folders(store), 1, "nothing is left of an attempt that lost");
    }
  });

  test("goes on where a sweeper died", async () => {
    const store = openMemoryStore();
    const folder = keys.attempt("wild", "dead");
    await store.put(`${folder}README.md`, new Uint8Array(3));
    await store.put(`${folder}claim-1`, sealJson({ swept: true }));
    assert.deepEqual((await sweepAttempts(store, "wild")).removed, ["dead"]);
    assert.equal(store.objects.size, 0);
  });

  test("at any moment of a live publication ends in a whole version or in none", async () => {
    const calls = ["putStream", "putIfAbsent", "list", "get"];
    let conflicts = 0;
    let created = 0;
    for (let moment = 0; moment < 16; moment++) {
      const store = openMemoryStore();
      let at = 0;
      const swept: Store = new Proxy(store, {
        get(target, name, receiver) {
          const member = Reflect.get(target, name, receiver) as unknown;
          if (!calls.includes(String(name)) || typeof member !== "function") return member;
          if (at++ !== moment) return member.bind(target) as unknown;
          if (name === "list") {
            return async function* (prefix: string, options?: ListOptions) {
              await sweepAttempts(target, "wild");
              yield* target.list(prefix, options);
            };
          }
          return async (...parameters: unknown[]) => {
            await sweepAttempts(target, "wild");
            return (member as (...all: unknown[]) => unknown).apply(target, parameters);
          };
        },
      });
      const options = { ...publishOptions(mine.images, { groupRows: 4 }), store: swept };
      await publish(madeCut(mine.classes), options).then(
        () => created++,
        (error: unknown) => {
          assert.ok(isSluiceError(error, "E_PUBLISH_CONFLICT") && error.retryable, String(error));
          conflicts++;
        },
      );
      for (const { number } of await collect(listVersions(store, "wild"))) {
        assert.deepEqual((await verifyVersion(store, "wild", number)).findings, [], `moment ${moment}`);
      }
      assert.equal((await publish(madeCut(mine.classes), publishOptions(mine.images, { store }))).manifest.number, 1);
    }
    assert.ok(created > 2 && conflicts > 5, `${created} created, ${conflicts} conflicts`);
  });
});
