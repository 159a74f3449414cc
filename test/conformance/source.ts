import assert from "node:assert/strict";
import { readdir, readlink } from "node:fs/promises";
import { describe, test } from "node:test";
import { orNull } from "../../schemas/errors.js";
import type { SourceAccount } from "../../schemas/source-account.js";
import type { ImageOpener, Source, SourceItem } from "../../connectors/source/source.js";

export interface SourceUnderTest {
  /** Opens the source anew, as another process would */
  readonly open: () => Promise<Source>;
  /** The content of each image, in the order in which they must come */
  readonly expected: readonly string[];
  readonly opener: ImageOpener;
}

export async function itemsOf(source: Source, cursor: string | null = null): Promise<readonly SourceItem[]> {
  const items: SourceItem[] = [];
  for await (const item of source.items(cursor)) items.push(item);
  return items;
}

/** Everything that a source had is accounted for. */
export function assertAddsUp(account: SourceAccount, expected: Pick<SourceAccount, "taken" | "known">): void {
  const passedOver = Object.values(account.passedOver).reduce((sum, { count }) => sum + count, 0);
  assert.deepEqual({ taken: account.taken, known: account.known }, expected);
  assert.equal(account.given, account.taken + account.known + passedOver, JSON.stringify(account));
}

export async function contentOf(item: SourceItem, opener: ImageOpener): Promise<string> {
  const bytes = item.record.bytes ?? (await opener.open(item.record.uri, 1_000_000));
  return Buffer.from(bytes).toString();
}

/** What every source promises. `make` runs once, before the tests. */
export function sourceConformance(name: string, make: () => Promise<SourceUnderTest>): void {
  describe(`source ${name}`, () => {
    const made = make();

    test("gives each image once, in a stable order, by a uri of its own that opens to the same bytes", async () => {
      const { open, expected, opener } = await made;
      const items = await itemsOf(await open());
      assert.deepEqual(await Promise.all(items.map((item) => contentOf(item, opener))), expected);
      assert.equal(new Set(items.map(({ record }) => record.uri)).size, items.length);
      assert.equal(new Set(items.map(({ cursor }) => cursor)).size, items.length);
      for (const { record } of items) {
        assert.equal(
          Buffer.from(await opener.open(record.uri, 1_000_000)).toString(),
          expected[items.findIndex((item) => item.record === record)],
        );
        assert.ok(Number.isSafeInteger(record.eventTimeMs) && record.eventTimeMs >= 0);
        assert.equal(record.retryOf, null);
      }
    });

    test("goes on after any cursor, in another process, with exactly the rest", async () => {
      const { open } = await made;
      const all = await itemsOf(await open());
      for (const [at, { cursor }] of all.entries()) {
        const rest = await itemsOf(await open(), cursor);
        assert.deepEqual(
          rest.map(({ record }) => record.uri),
          all.slice(at + 1).map(({ record }) => record.uri),
        );
        if (rest.length === 0) continue;
        // A run that is cut off and resumed twice is no different.
        const again = await itemsOf(await open(), rest[0]!.cursor);
        assert.deepEqual(
          again.map(({ record }) => record.uri),
          all.slice(at + 2).map(({ record }) => record.uri),
        );
      }
    });

    test("is one source by name, whoever opens it", async () => {
      const { open } = await made;
      const name = (await open()).name;
      assert.equal((await open()).name, name);
      assert.match(name, /^[\x21-\x7e]{1,600}$/);
    });

    test("estimates no other number than it gives", async () => {
      const { open, expected } = await made;
      const { items } = await (await open()).estimate();
      if (items !== null) assert.equal(items, expected.length);
    });

    test("accounts for all that it has", async () => {
      const { open, expected } = await made;
      const source = await open();
      assert.equal(source.account().given, 0);
      await itemsOf(source);
      assertAddsUp(source.account(), { taken: expected.length, known: 0 });
    });

    test("may be left at any item, and leaves no file open then", async () => {
      const { open, expected } = await made;
      const before = await openFiles();
      for (let taken = 0; taken <= Math.min(3, expected.length); taken++) {
        let seen = 0;
        if (taken > 0)
          for await (const { cursor } of (await open()).items(null)) if (cursor !== "" && ++seen === taken) break;
        assert.equal(seen, taken);
      }
      const left = (await openFiles()).filter((file) => !before.includes(file));
      assert.deepEqual(left, []);
    });
  });
}

/** What this process has open: regular files only, since sockets and pipes are the runner's. Nothing where the system does not say it (other than Linux). */
async function openFiles(): Promise<string[]> {
  const handles = (await orNull(readdir("/proc/self/fd"), "ENOENT")) ?? [];
  const targets = await Promise.all(handles.map((handle) => orNull(readlink(`/proc/self/fd/${handle}`), "ENOENT")));
  return targets.filter(
    (target): target is string =>
      target?.startsWith("/") === true && !target.startsWith("/dev/") && !target.startsWith("/proc/"),
  );
}
