import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { SluiceError } from "../../../schemas/errors.js";
import type { ImageRecord } from "../../../schemas/image-record.js";
import { Account } from "../account.js";
import { bytePath, fsPath, shownPath, type BytePath } from "../byte-path.js";
import { isSidecar } from "../file-kinds.js";
import { includes } from "../include.js";
import { formatMark, parseMark, type Mark } from "../mark.js";
import { nothingFound } from "../nothing-found.js";
import { passes, type Pass } from "../pass.js";
import { NO_RIGHTS, rightsOf, stemOf, tellsRights, type Rights } from "../sidecar.js";
import type { Source, SourceEstimate, SourceItem } from "../source.js";
import { sourceName } from "../source-name.js";
import { memberUri } from "./member-uri.js";
import { expandShards } from "./shard-list.js";
import { SidecarWait, type FoundImage } from "./sidecar-wait.js";
import type { MemberHeader } from "./tar-members.js";
import { openShard, type TarShard } from "./tar-shard.js";

export interface TarSourceOptions {
  /** Globs on the member's name; a member that matches any is an image. Default: all but the known sidecars. */
  readonly include?: readonly string[] | undefined;
  /** A member of more bytes goes in by reference, to be refused as E_IMAGE_SIZE without having been read. */
  readonly maxBytes?: number | undefined;
  /** As of the folder source: a folder, one for each topic, that remembers which shards were taken. */
  readonly listings?: string | undefined;
  /** As of the folder source */
  readonly mayBeEmpty?: boolean | undefined;
}

/** Read at once with the header before it; larger ones when they leave, so that none is held while it waits for its sidecar. */
const SMALL_BYTES = 32 * 1024;

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/**
 * WebDataset shards (.tar, .tar.gz, .tar.zst): images inline, in the order of the shards' paths and of the members within.
 * `shards` are paths, globs, ranges such as `train-{000..099}.tar`, or folders of shards. Licence and origin come from an image's own
 * `.json` member (see sidecar.ts). Event time is the member's modification time, or the shard's where a writer left it out. A link goes in
 * by reference, and opens as the file in the shard that it leads to.
 *
 * A shard that breaks off gives its whole members, then one item that refers to the shard itself, which opening
 * refuses with the place: it stands in the quarantine, and the other shards go on. A shard that is mended has another size or
 * time, and is taken again as a whole; images that it gave before are known by their digest.
 * Errors: E_SOURCE_MISSING where nothing matches; E_SOURCE_EMPTY of `items`, where no shard has an image.
 */
export async function openTarSource(shards: readonly string[], options: TarSourceOptions = {}): Promise<Source> {
  const patterns = [...new Set(shards.map((shard) => resolve(shard)))].sort();
  const name = sourceName("tar", bytePath(patterns.join(" ")));
  const { include, maxBytes = DEFAULT_MAX_BYTES, listings, mayBeEmpty = false } = options;
  const isIncluded = include === undefined ? (member: string) => !isSidecar(member) : includes(include);
  const account = new Account();
  await expandShards(patterns, new Account());

  return {
    name,
    account: () => account.read(),
    // Members are known only by reading all shards.
    estimate: async (): Promise<SourceEstimate> => ({ items: null }),
    async *items(cursor): AsyncGenerator<SourceItem> {
      const mark = parseMark(cursor);
      if (listings === undefined) yield* itemsAfter(mark, null);
      else for await (const pass of passes(listings, name, mark)) yield* itemsAfter(pass.resumeAfter, pass);
      const { taken, known } = account.read();
      if (mark === null && taken + known === 0 && !mayBeEmpty) {
        throw nothingFound(patterns.join(", "), account.read(), include);
      }
    },
  };

  async function* itemsAfter(after: Mark | null, pass: Pass | null): AsyncGenerator<SourceItem> {
    account.clear();
    try {
      for (const shard of await expandShards(patterns, account)) {
        if (after !== null && shard < after.path) continue;
        const resumed = after !== null && shard === after.path;
        const { mtimeMs, size: sizeBytes } = await statOf(shard);
        if (pass !== null && !resumed) {
          const taken = await pass.isTaken({ path: shard, mtimeMs, sizeBytes });
          pass.add({ path: shard, mtimeMs, sizeBytes });
          await pass.flush();
          if (taken) {
            account.give();
            account.know();
            continue;
          }
        }
        for await (const { record, index } of imagesOf(shard, mtimeMs, resumed ? after.index : 0)) {
          account.take();
          yield { record, cursor: formatMark(pass?.mark(shard, index) ?? { pass: 0, path: shard, index }) };
        }
      }
      await pass?.end();
    } finally {
      await pass?.close();
    }
  }

  /** Images of a shard after the `from` first ones. `index` counts from 1. */
  async function* imagesOf(path: BytePath, shardMtimeMs: number, from: number): AsyncGenerator<PlacedRecord> {
    let index = 0;
    const wait = new SidecarWait(account);
    let failure: SluiceError | null = null;
    let shard: TarShard | null = null;
    // Around every yield: a caller may leave after any image.
    try {
      try {
        shard = await openShard(path);
        for await (const member of shard.members()) {
          const kind = await kindOf(member, shard, wait);
          if (kind !== "image") continue;
          index += 1;
          const isWanted = index > from && member.kind === "file" && member.sizeBytes <= maxBytes;
          const isReadNow = isWanted && (shard.isPacked || member.sizeBytes <= SMALL_BYTES);
          const bytes = isReadNow ? await shard.read(member) : null;
          wait.addImage({ member, bytes, index });
          for (const image of wait.ready()) yield* placed(shard, image);
        }
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        failure = error;
      }
      for (const image of wait.rest()) yield* placed(shard!, image);
    } finally {
      await shard?.close();
    }
    if (failure === null) return;
    account.give();
    if (index + 1 <= from) account.know();
    else yield { record: recordOf(memberUri(path, null), null, shardMtimeMs, NO_RIGHTS), index: index + 1 };

    async function* placed(
      open: TarShard,
      image: FoundImage & { readonly rights: Rights },
    ): AsyncGenerator<PlacedRecord> {
      const { member, rights } = image;
      if (image.index <= from) {
        account.know();
        return;
      }
      const isReadLater =
        image.bytes === null && !open.isPacked && member.kind === "file" && member.sizeBytes <= maxBytes;
      const bytes = isReadLater ? await open.read(member) : image.bytes;
      const uri = memberUri(path, member);
      const eventTimeMs = member.mtimeMs > 0 ? member.mtimeMs : shardMtimeMs;
      yield { record: recordOf(uri, bytes, eventTimeMs, rights), index: image.index };
    }
  }

  /** Counts what is no image; takes in what tells the rights of one. */
  async function kindOf(member: MemberHeader, shard: TarShard, wait: SidecarWait): Promise<"image" | "none"> {
    if (member.kind === "folder") return "none";
    account.give();
    const shown = shownPath(member.name);
    if (isHidden(member.name)) account.passOver("hidden", shown);
    else if (member.kind === "other") account.passOver("notFile", shown);
    else if (isIncluded(shown)) return "image";
    else if (tellsRights(shown) && member.kind === "file" && member.sizeBytes <= maxBytes) {
      const rights = rightsOf(await shard.read(member));
      if (rights.licence === null && rights.origin === null) account.passOver("sidecar", shown);
      else wait.addSidecar(stemOf(member.name), shown, rights);
    } else account.passOver(isSidecar(shown) ? "sidecar" : "excluded", shown);
    return "none";
  }
}

interface PlacedRecord {
  readonly record: ImageRecord;
  readonly index: number;
}

function recordOf(uri: string, bytes: Uint8Array | null, eventTimeMs: number, rights: Rights): ImageRecord {
  return { uri, bytes, eventTimeMs: Math.max(0, Math.floor(eventTimeMs)), ...rights, retryOf: null };
}

/** What Macs and editors leave (`._a.jpg`). `..` leads elsewhere, which matters to nobody here: members are never unpacked to paths. */
function isHidden(name: BytePath): boolean {
  return name.split("/").some((part) => part.startsWith(".") && part !== "." && part !== "..");
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
