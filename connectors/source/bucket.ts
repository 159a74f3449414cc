import picomatch from "picomatch";
import { SluiceError } from "../../schemas/errors.js";
import type { ImageRecord } from "../../schemas/image-record.js";
import { bytePath, percentEncode, shownPath, type BytePath } from "./byte-path.js";
import type { Taken } from "./listing.js";
import { formatMark, parseMark, type Mark } from "./mark.js";
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
}

export interface BucketSource extends Source {
  /** What `items` has jumped over because it begins with a key of `skip` */
  readonly skipped: { count: number; first: string | null };
}

/** Above this, counting alone takes noticeable time: a request for each 1,000. */
const COUNTED_AT_MOST = 100_000;

/** Sorts after every key that starts with what it is added to. */
const LAST = "\u{10ffff}";

/**
 * The objects below a prefix of a bucket as images by reference (`s3://bucket/key`, percent-encoded), in the order of
 * their keys' UTF-8 bytes. Event time is when an object was last modified. Left out are names that begin with a dot, and
 * empty objects that stand for folders (`x/`). Errors: E_SOURCE_MISSING, also where nothing lies below the prefix at all
 * (such a place is one that is not there); E_SOURCE_READ.
 */
export async function openBucketSource(options: BucketSourceOptions): Promise<BucketSource> {
  const { buckets, bucket, prefix, include, skip = [], listings } = options;
  const place = `s3://${bucket}/${prefix}`;
  if (!(await buckets.hasAny(bucket, prefix))) {
    throw new SluiceError(
      "E_SOURCE_MISSING",
      `Expected images below ${place}, found no object there. Check the prefix: it is written as the keys are, without percent-encoding.`,
    );
  }
  const name = sourceName("bucket", bytePath(place.slice("s3://".length)));
  const isIncluded = include === undefined ? () => true : picomatch([...include], { dot: true });
  const skipped: { count: number; first: string | null } = { count: 0, first: null };

  return {
    name,
    skipped,
    async estimate(): Promise<SourceEstimate> {
      let items = 0;
      for await (const group of groupsAfter(null)) {
        items += group.filter(({ included }) => included).length;
        if (items > COUNTED_AT_MOST) return { items: null };
      }
      return { items };
    },
    async *items(cursor): AsyncGenerator<SourceItem> {
      const mark = parseMark(cursor);
      if (listings !== undefined) {
        for await (const pass of passes(listings, name, mark)) yield* newItems(pass);
        return;
      }
      for await (const group of groupsAfter(mark?.path ?? null, countSkipped)) {
        for (const object of group) {
          if (object.included) yield item(object, { pass: 0, path: object.path, index: 0 });
        }
      }
    },
  };

  async function* newItems(pass: Pass): AsyncGenerator<SourceItem> {
    try {
      for await (const group of groupsAfter(pass.resumeAfter?.path ?? null, countSkipped)) {
        const fresh: Found[] = [];
        for (const object of group) {
          if (!object.included) await pass.keep(object.path);
          else {
            if (!(await pass.isTaken(object))) fresh.push(object);
            pass.add(object);
          }
        }
        await pass.flush();
        for (const object of fresh) yield item(object, pass.mark(object.path));
      }
      await pass.end();
    } finally {
      await pass.close();
    }
  }

  /** What sorts after `path`, in the groups that the server lists. */
  async function* groupsAfter(
    path: BytePath | null,
    onSkipped: (key: string) => void = () => undefined,
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
            onSkipped(object.key);
            // Millions of objects may lie there: they are not listed.
            after = skippedPrefix + LAST;
            break;
          }
          if (!isLeftOut(object.key.slice(prefix.length))) group.push(foundAs(object));
        }
        yield group;
        if (after !== null) break;
      }
    }
  }

  function foundAs({ key, sizeBytes, modifiedMs, etag }: ListedObject): Found {
    const below = key.slice(prefix.length);
    return { path: bytePath(below), mtimeMs: modifiedMs, sizeBytes, etag, included: isIncluded(below) };
  }

  function item({ path, mtimeMs }: Found, mark: Mark): SourceItem {
    const record: ImageRecord = {
      uri: `s3://${bucket}/${percentEncode(bytePath(prefix) + path)}`,
      bytes: null,
      eventTimeMs: Math.max(0, Math.floor(mtimeMs)),
      licence: null,
      origin: null,
      retryOf: null,
    };
    return { record, cursor: formatMark(mark) };
  }

  function countSkipped(key: string): void {
    skipped.count += 1;
    skipped.first ??= `s3://${bucket}/${key}`;
  }
}

/** `path` is that below the prefix. */
interface Found extends Taken {
  readonly included: boolean;
}

/** A folder of a gateway, or a name that begins with a dot; `path` is that below the prefix. */
function isLeftOut(path: string): boolean {
  return path === "" || path.endsWith("/") || /(?:^|\/)\./.test(path);
}
