import type { PassedOverReason } from "../../schemas/source-account.js";
import { Account } from "./account.js";
import { objectReasons, objectRecord } from "./bucket-object.js";
import { bytePath, shownPath, type BytePath } from "./byte-path.js";
import type { Taken } from "./listing.js";
import { formatMark, parseMark, type Mark } from "./mark.js";
import { nothingFound } from "./nothing-found.js";
import { passes, type Pass } from "./pass.js";
import type { ImageBuckets, ListedObject, Source, SourceEstimate, SourceItem } from "./source.js";
import { sourceName } from "./source-name.js";

export interface BucketSourceOptions {
  readonly buckets: ImageBuckets;
  readonly bucket: string;
  /** "" or ending in "/": only what lies below it */
  readonly prefix: string;
  /** Globs on the key below the prefix, as of the folder source. Default: all objects. */
  readonly include?: readonly string[] | undefined;
  /** Keys that begin so are left out: the store itself may lie in the same bucket. */
  readonly skip?: readonly string[] | undefined;
  /** As of the folder source: a folder, one for each topic, that remembers which objects were taken. */
  readonly listings?: string | undefined;
  /** As of the folder source */
  readonly mayBeEmpty?: boolean | undefined;
}

/** Above this, counting alone takes noticeable time: a request for each 1,000. */
const COUNTED_AT_MOST = 100_000;

/** Sorts after every key that starts with what it is added to. */
const LAST = "\u{10ffff}";

/**
 * The objects below a prefix of a bucket as images by reference (`s3://bucket/key`, percent-encoded), in the order of
 * their keys' UTF-8 bytes. What is passed over `objectReasons` says.
 * Errors: E_SOURCE_MISSING where there is no such bucket; E_SOURCE_READ; E_SOURCE_EMPTY where there is nothing to take.
 */
export async function openBucketSource(options: BucketSourceOptions): Promise<Source> {
  const { buckets, bucket, prefix, include, skip = [], listings, mayBeEmpty = false } = options;
  const place = `s3://${bucket}/${prefix}`;
  const name = sourceName("bucket", bytePath(place.slice("s3://".length)));
  const reasonAgainst = objectReasons(include);
  const account = new Account();
  if (!(await buckets.hasAny(bucket, prefix)) && !mayBeEmpty) throw nothingFound(place, account.read(), include);

  return {
    name,
    account: () => account.read(),
    async estimate(): Promise<SourceEstimate> {
      let items = 0;
      for await (const group of groupsAfter(null, () => undefined)) {
        items += group.filter(({ reason }) => reason === null).length;
        if (items > COUNTED_AT_MOST) return { items: null };
      }
      return { items };
    },
    async *items(cursor): AsyncGenerator<SourceItem> {
      const mark = parseMark(cursor);
      if (listings === undefined) yield* itemsAfter(mark);
      else for await (const pass of passes(listings, name, mark)) yield* newItems(pass);
      const { taken, known } = account.read();
      if (mark === null && taken + known === 0 && !mayBeEmpty) throw nothingFound(place, account.read(), include);
    },
  };

  async function* itemsAfter(mark: Mark | null): AsyncGenerator<SourceItem> {
    account.clear();
    for await (const group of groupsAfter(mark?.path ?? null, count)) {
      for (const object of group) {
        if (object.reason !== null) continue;
        account.take();
        yield item(object, { pass: 0, path: object.path, index: 0 });
      }
    }
  }

  async function* newItems(pass: Pass): AsyncGenerator<SourceItem> {
    account.clear();
    try {
      for await (const group of groupsAfter(pass.resumeAfter?.path ?? null, count)) {
        const fresh: Found[] = [];
        for (const object of group) {
          if (object.reason !== null) {
            await pass.keep(object.path);
            continue;
          }
          if (await pass.isTaken(object)) account.know();
          else fresh.push(object);
          pass.add(object);
        }
        await pass.flush();
        for (const object of fresh) {
          account.take();
          yield item(object, pass.mark(object.path));
        }
      }
      await pass.end();
    } finally {
      await pass.close();
    }
  }

  /** What sorts after `path`, in the groups that the server lists. */
  async function* groupsAfter(
    path: BytePath | null,
    onFound: (key: string, reason: PassedOverReason | null) => void,
  ): AsyncGenerator<readonly Found[]> {
    let after: string | null = path === null ? "" : prefix + shownPath(path);
    while (after !== null) {
      const from: string = after;
      after = null;
      for await (const page of buckets.pages(bucket, prefix, from)) {
        const group: Found[] = [];
        for (const object of page) {
          const skippedPrefix = skip.find((start) => object.key.startsWith(start));
          if (skippedPrefix !== undefined) {
            onFound(object.key, "store");
            // Millions of objects may lie there: they are not listed.
            after = skippedPrefix + LAST;
            break;
          }
          const found = foundAs(object);
          onFound(object.key, found.reason);
          group.push(found);
        }
        yield group;
        if (after !== null) break;
      }
    }
  }

  function foundAs({ key, sizeBytes, modifiedMs, etag }: ListedObject): Found {
    const below = key.slice(prefix.length);
    return { path: bytePath(below), mtimeMs: modifiedMs, sizeBytes, etag, reason: reasonAgainst(below) };
  }

  function item({ path, mtimeMs }: Found, mark: Mark): SourceItem {
    return { record: objectRecord(bucket, prefix + shownPath(path), mtimeMs), cursor: formatMark(mark) };
  }

  function count(key: string, reason: PassedOverReason | null): void {
    account.give();
    if (reason !== null) account.passOver(reason, `s3://${bucket}/${key}`);
  }
}

/** `path` is that below the prefix. */
interface Found extends Taken {
  /** Why it is no image of the run; null for one that is */
  readonly reason: PassedOverReason | null;
}
