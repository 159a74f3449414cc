import { stat } from "node:fs/promises";
import picomatch from "picomatch";
import { SluiceError } from "../../schemas/errors.js";
import { bytePath, fsPath, shownPath, type BytePath } from "./byte-path.js";
import { walk } from "./walk.js";

/**
 * The shards that absolute paths, globs and WebDataset ranges (`{000..099}`) name, in byte order, each once.
 * Throws E_SOURCE_MISSING for one that names nothing, E_SOURCE_READ for a path that names another kind of file.
 */
export async function expandShards(patterns: readonly string[]): Promise<readonly BytePath[]> {
  const shards = new Set<BytePath>();
  for (const pattern of patterns) {
    for (const path of ranged(pattern)) {
      const found: BytePath[] = [];
      if (await isFile(path)) found.push(bytePath(shardNamed(path)));
      else for await (const shard of matching(path)) found.push(shard);
      if (found.length === 0) throw missing(path);
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

/** Someone who gives a picture should hear so before it stands in the quarantine as a broken shard. */
function shardNamed(path: string): string {
  if (/\.(tar|tgz|tar\.gz)$/i.test(path) || !/\.[^./]*$/.test(path)) return path;
  throw new SluiceError(
    "E_SOURCE_READ",
    `Expected a folder of images or tar shards (.tar, .tar.gz, .tgz), found another kind of file: ${path}. Give the folder that it lies in, with --include for a part of it.`,
  );
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function* matching(pattern: string): AsyncGenerator<BytePath> {
  const { base, isGlob } = picomatch.scan(pattern);
  if (!isGlob) throw missing(pattern);
  const matches = picomatch(pattern);
  const root = bytePath(base);
  if (!(await stat(fsPath(root)).catch(() => null))?.isDirectory()) return;
  for await (const { path, unreadable } of walk({ root, after: null, skip: new Set() })) {
    const shard = `${root}/${path}`;
    if (unreadable === null && matches(shownPath(shard))) yield shard;
  }
}

function missing(pattern: string): SluiceError {
  return new SluiceError(
    "E_SOURCE_MISSING",
    `Expected a folder of images or tar shards, found nothing at ${pattern}. Check the path; in a shell, quote globs.`,
  );
}
