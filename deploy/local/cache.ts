import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheFolder } from "../../connectors/cache-folder.js";

/** How often a builder shows that it lives, and how long a waiter believes an older sign. */
const SIGN_OF_LIFE_MS = 2_000;
const DEAD_AFTER_MS = 30_000;
/** No build takes that long. */
const ABANDONED_AFTER_MS = 3_600_000;

/** Says what goes on, a line at a time. */
export type Report = (line: string) => void;

/**
 * The folder `name` of the cache, made by `build` where it is not there yet. `build` fills a folder of its own, which
 * becomes the cache's by one rename: a folder in the cache is always whole. Of several processes one builds and the
 * others wait; should two build after all (a suspended builder), the first to end wins and both go on with its folder.
 */
export async function cachedFolder(
  name: string,
  build: (folder: string) => Promise<void>,
  report: Report,
): Promise<string> {
  const cache = cacheFolder();
  const whole = join(cache, name);
  if (await exists(whole)) return whole;
  await mkdir(cache, { recursive: true });
  const unlock = await lock(join(cache, `${name}.lock`), () => exists(whole), report);
  if (unlock === null) return whole;
  try {
    if (await exists(whole)) return whole;
    await removeAbandoned(cache, name);
    const partial = await mkdtemp(join(cache, `.building-${name}-`));
    try {
      await build(partial);
      await rename(partial, whole).catch(async (error: unknown) => {
        if (!(await exists(whole))) throw error;
      });
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    return whole;
  } finally {
    await unlock();
  }
}

/** Removes what builders of `name` left that were killed: nothing has changed there for an hour. */
async function removeAbandoned(cache: string, name: string): Promise<void> {
  for (const entry of await readdir(cache)) {
    if (!entry.startsWith(`.building-${name}-`)) continue;
    const path = join(cache, entry);
    const changedMs = (await stat(path).catch(() => null))?.mtimeMs ?? 0;
    if (Date.now() - changedMs > ABANDONED_AFTER_MS) await rm(path, { recursive: true, force: true });
  }
}

/** Null where `done` came true while waiting: the holder has finished the work. */
async function lock(path: string, done: () => Promise<boolean>, report: Report): Promise<(() => Promise<void>) | null> {
  const token = randomUUID();
  let said = false;
  for (;;) {
    try {
      const file = await open(path, "wx");
      await file.writeFile(token);
      await file.close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const held = await stat(path).catch(() => null);
    if (held !== null && Date.now() - held.mtimeMs > DEAD_AFTER_MS) {
      await rm(path, { force: true });
      continue;
    }
    if (!said) report(`waiting for another process that builds the same (${path})`);
    said = true;
    await sleep(500);
    if (await done()) return null;
  }
  const sign = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, SIGN_OF_LIFE_MS);
  sign.unref();
  return async () => {
    clearInterval(sign);
    if ((await readFile(path, "utf8").catch(() => "")) === token) await rm(path, { force: true });
  };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
