import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import picomatch from "picomatch";
import { SluiceError } from "../../schemas/errors.js";
import type { ImageRecord } from "../../schemas/image-record.js";
import { bytePath, fsPath, percentEncode, shownPath, type BytePath } from "./byte-path.js";
import { formatMark, parseMark, type Mark } from "./mark.js";
import { passes, type Pass } from "./pass.js";
import { expandShards } from "./shard-list.js";
import type { Source, SourceEstimate, SourceItem } from "./source.js";
import { sourceName } from "./source-name.js";
import { membersOf, type Member } from "./tar-shard.js";

export interface TarSourceOptions {
  /** Globs on the member's name; a member that matches any is an image. Default: all but the known sidecars. */
  readonly include?: readonly string[] | undefined;
  /** A member of more bytes goes in by reference, to be refused as E_IMAGE_SIZE without having been read. */
  readonly maxBytes?: number | undefined;
  /** As of the folder source: a folder, one for each topic, that remembers which shards were taken. */
  readonly listings?: string | undefined;
}

/** Extensions that WebDataset gives to what goes with an image. Their labels are not read: the stream is unlabelled. */
const SIDECARS = new Set(
  (
    "cls cls2 txt text caption json jsonl npy npz pyd pickle pkl pth pt ten tb cbor mp msg msgpack csv tsv xml yaml yml " +
    "id index inx url html md transcript"
  ).split(" "),
);

/** An image and its sidecar stand side by side; this many images, and as many bytes as one may have, wait for it. */
const WAIT_AT_MOST = 16;

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/**
 * WebDataset shards (.tar, .tar.gz): images inline, in the order of the shards' paths and of the members within.
 * `shards` are paths, globs, or ranges such as `train-{000..099}.tar`. Licence and origin come from the `.json` member of
 * the same basename (fields `licence` or `license`, `origin` or `url`). Event time is the member's modification time, or
 * the shard's where a writer left it out.
 *
 * A shard that breaks off gives its whole members, then one item that refers to the shard itself, which opening
 * refuses with the place: it stands in the quarantine, and the other shards go on. A shard that is mended has another size or
 * time, and is taken again as a whole; images that it gave before are known by their digest.
 * Errors: E_SOURCE_MISSING where nothing matches.
 */
export async function openTarSource(shards: readonly string[], options: TarSourceOptions = {}): Promise<Source> {
  const patterns = [...new Set(shards.map((shard) => resolve(shard)))].sort();
  const name = sourceName("tar", bytePath(patterns.join(" ")));
  const isIncluded =
    options.include === undefined
      ? (member: string) => !SIDECARS.has(extensionOf(member))
      : picomatch([...options.include], { dot: true });
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  await expandShards(patterns);

  return {
    name,
    // Members are known only by reading all shards.
    estimate: async (): Promise<SourceEstimate> => ({ items: null }),
    async *items(cursor): AsyncGenerator<SourceItem> {
      const mark = parseMark(cursor);
      if (options.listings === undefined) yield* itemsAfter(mark, null);
      else for await (const pass of passes(options.listings, name, mark)) yield* itemsAfter(pass.resumeAfter, pass);
    },
  };

  async function* itemsAfter(after: Mark | null, pass: Pass | null): AsyncGenerator<SourceItem> {
    try {
      for (const shard of await expandShards(patterns)) {
        if (after !== null && shard < after.path) continue;
        const resumed = after !== null && shard === after.path;
        const { mtimeMs, size: sizeBytes } = await statOf(shard);
        if (pass !== null && !resumed) {
          const taken = await pass.isTaken({ path: shard, mtimeMs, sizeBytes });
          pass.add({ path: shard, mtimeMs, sizeBytes });
          await pass.flush();
          if (taken) continue;
        }
        for await (const { record, index } of imagesOf(shard, mtimeMs, resumed ? after.index : 0)) {
          yield { record, cursor: formatMark(pass?.mark(shard, index) ?? { pass: 0, path: shard, index }) };
        }
      }
      await pass?.end();
    } finally {
      await pass?.close();
    }
  }

  /** Images of a shard after the `from` first ones. `index` counts from 1. */
  async function* imagesOf(
    shard: BytePath,
    shardMtimeMs: number,
    from: number,
  ): AsyncGenerator<{ record: ImageRecord; index: number }> {
    let index = 0;
    let key: string | null = null;
    let waiting: { member: Member; bytes: Uint8Array | null; index: number }[] = [];
    let waitingBytes = 0;
    let rights: Rights = NO_RIGHTS;
    const flush = function* (): Generator<{ record: ImageRecord; index: number }> {
      for (const { member, bytes, index: at } of waiting) {
        const uri = `tar:${percentEncode(shard)}#${percentEncode(member.name)}`;
        const eventTimeMs = Math.max(0, Math.floor(member.mtimeMs > 0 ? member.mtimeMs : shardMtimeMs));
        yield { record: { uri, bytes, eventTimeMs, ...rights, retryOf: null }, index: at };
      }
      waiting = [];
      waitingBytes = 0;
    };
    let failure: SluiceError | null = null;
    try {
      for await (const member of membersOf(shard)) {
        if (isHidden(member.name)) continue;
        const itsKey = keyOf(member.name);
        if (itsKey !== key) {
          yield* flush();
          key = itsKey;
          rights = NO_RIGHTS;
        }
        if (isIncluded(shownPath(member.name))) {
          index += 1;
          if (index <= from) continue;
          const bytes = member.sizeBytes > maxBytes ? null : await member.read();
          waitingBytes += bytes?.length ?? 0;
          waiting.push({ member, bytes, index });
          if (waiting.length >= WAIT_AT_MOST || waitingBytes >= maxBytes) yield* flush();
        } else if (extensionOf(member.name) === "json" && member.sizeBytes <= maxBytes) {
          rights = rightsOf(await member.read());
        }
      }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      failure = error;
    }
    yield* flush();
    if (failure === null || index + 1 <= from) return;
    const uri = `tar:${percentEncode(shard)}#`;
    const record = { uri, bytes: null, eventTimeMs: Math.floor(shardMtimeMs), ...NO_RIGHTS, retryOf: null };
    yield { record, index: index + 1 };
  }
}

interface Rights {
  readonly licence: string | null;
  readonly origin: string | null;
}
const NO_RIGHTS: Rights = { licence: null, origin: null };

/** A sidecar that is no JSON object says nothing about rights. */
function rightsOf(bytes: Uint8Array): Rights {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return NO_RIGHTS;
  }
  const fields: Record<string, unknown> = typeof found === "object" && found !== null ? { ...found } : {};
  const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
  return { licence: text(fields.licence) ?? text(fields.license), origin: text(fields.origin) ?? text(fields.url) };
}

/** What WebDataset groups members by: the path up to the first dot of its last name. */
function keyOf(name: BytePath): string {
  const slash = name.lastIndexOf("/") + 1;
  const dot = name.indexOf(".", slash);
  return dot === -1 ? name : name.slice(0, dot);
}

function extensionOf(name: string): string {
  return /\.([^./]*)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

function isHidden(name: BytePath): boolean {
  return name.split("/").some((part, at) => part.startsWith(".") && !(at === 0 && part === "."));
}

async function statOf(shard: BytePath): Promise<{ mtimeMs: number; size: number }> {
  try {
    return await stat(fsPath(shard));
  } catch (error) {
    throw new SluiceError(
      "E_SOURCE_MISSING",
      `Expected the tar shard that was listed, found nothing at ${shownPath(shard)}. Put it back, or leave it out.`,
      { cause: error },
    );
  }
}
