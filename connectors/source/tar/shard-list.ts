import { basename, dirname } from "node:path";
import picomatch from "picomatch";
import { SluiceError } from "../../../schemas/errors.js";
import { Account } from "../account.js";
import { bytePath, fsPath, shownPath, type BytePath } from "../byte-path.js";
import { isImageName, isShardName, isSidecar } from "../file-kinds.js";
import { otherForm } from "../other-form.js";
import { shellWord } from "../../../schemas/shell-word.js";
import { walk } from "../walk.js";
import { unpackerOf } from "./packing.js";
import { notUnpacked, packingAt } from "./tar-shard.js";
import { statIfThere } from "../../stat-if-there.js";

/**
 * The shards that absolute paths, globs, WebDataset ranges (`{000..099}`) and folders of shards name, in byte order, each once. What a
 * folder has beside its shards is counted.
 * Throws E_SOURCE_MISSING for one that names nothing, E_SOURCE_READ for a path that names another kind of file.
 */
export async function expandShards(patterns: readonly string[], account: Account): Promise<readonly BytePath[]> {
  const shards = new Set<BytePath>();
  for (const pattern of patterns) {
    for (const path of ranged(pattern)) {
      const found: BytePath[] = [];
      const kind = await kindAt(path);
      if (kind === "file") found.push(await shardAt(path));
      else if (kind === "folder") for await (const shard of shardsBelow(path, account)) found.push(shard);
      else for await (const shard of matching(path)) found.push(shard);
      if (found.length === 0) throw await missing(path);
      for (const shard of found) shards.add(shard);
    }
  }
  return [...shards].sort();
}

/** `a-{08..10}.tar` as `a-08.tar`, `a-09.tar`, `a-10.tar`, as wide as its first bound is written. */
function ranged(pattern: string): readonly string[] {
  const found = /^(.*?)\{(\d+)\.\.(\d+)\}(.*)$/s.exec(pattern);
  if (found === null) return [pattern];
  const [, head, first, last, tail] = found as unknown as [string, string, string, string, string];
  const numbers = Array.from({ length: Math.max(0, Number(last) - Number(first) + 1) }, (_, at) => Number(first) + at);
  const tails = ranged(tail);
  return numbers.flatMap((number) =>
    tails.map((rest) => `${head}${String(number).padStart(first.length, "0")}${rest}`),
  );
}

/** Someone who gives a picture, or a packed folder, should be told before it stands in the quarantine as a broken shard. */
async function shardAt(path: string): Promise<BytePath> {
  const shard = bytePath(path);
  const packing = await packingAt(shard);
  if (packing !== "none" && unpackerOf(packing) === undefined) throw notUnpacked(shard, packing);
  if (isShardName(path) || !/\.[^./]*$/.test(path) || packing !== "none") return shard;
  throw new SluiceError(
    "E_SOURCE_READ",
    `Expected a folder of images or tar shards (.tar, .tar.gz, .tar.zst), found another kind of file: ${path}. ` +
      `For one picture give its folder and its name: \`${shellWord(dirname(path))} --include ${shellWord(basename(path))}\`.`,
    { path },
  );
}

async function kindAt(path: string): Promise<"file" | "folder" | "none"> {
  // A glob or a range is no path.
  const found = await statIfThere(path);
  return found?.isDirectory() === true ? "folder" : found?.isFile() === true ? "file" : "none";
}

async function* shardsBelow(folder: string, account: Account): AsyncGenerator<BytePath> {
  const root = bytePath(folder);
  for await (const { path, unreadable } of walk({ root, after: null, skip: new Set(), followLinks: true, account })) {
    if (unreadable !== null || isShardName(shownPath(path))) {
      if (unreadable === null) yield `${root}/${path}`;
      continue;
    }
    account.give();
    account.passOver(isSidecar(shownPath(path)) ? "sidecar" : "besideShards", shownPath(path));
  }
}

/** Whether a folder has tar shards and no file that is an image by its name. */
export async function isFolderOfShards(folder: string): Promise<boolean> {
  let shards = 0;
  for await (const { path } of walk({ root: bytePath(folder), after: null, skip: new Set(), followLinks: true })) {
    if (isImageName(shownPath(path))) return false;
    if (isShardName(shownPath(path))) shards += 1;
  }
  return shards > 0;
}

async function* matching(pattern: string): AsyncGenerator<BytePath> {
  const { base, isGlob } = picomatch.scan(pattern);
  if (!isGlob) throw await missing(pattern);
  const matches = picomatch(pattern);
  const root = bytePath(base);
  if (!(await statIfThere(fsPath(root)))?.isDirectory()) return;
  for await (const { path, unreadable } of walk({ root, after: null, skip: new Set(), followLinks: true })) {
    const shard = `${root}/${path}`;
    if (unreadable !== null || !matches(shownPath(shard))) continue;
    if (!isShardName(shownPath(path))) throw notShards(pattern, base);
    yield shard;
  }
}

/** A glob for pictures is one for `--include`. */
function notShards(pattern: string, base: string): SluiceError {
  return new SluiceError(
    "E_SOURCE_READ",
    `Expected a glob of tar shards (.tar, .tar.gz, .tar.zst), found that ${pattern} matches other files. ` +
      `For pictures give their folder and a glob within it: \`${shellWord(base)} --include ${shellWord(pattern.slice(base.length + 1))}\`.`,
    { pattern },
  );
}

async function missing(path: string): Promise<SluiceError> {
  const other = await otherForm(path);
  return new SluiceError(
    "E_SOURCE_MISSING",
    `Expected a folder of images or tar shards, found nothing at ${path}. ${other ?? "Check the path; in a shell, quote globs."}`,
    { path },
  );
}
