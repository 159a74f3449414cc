import { homedir } from "node:os";
import { join } from "node:path";
import { SluiceError } from "../schemas/errors.js";

/** Where what is fetched and built once is kept, outside any checkout: $SLUICE_CACHE, else ~/.cache/sluice. Throws E_USAGE. */
export function cacheFolder(): string {
  const folder = cacheFolderIfAny();
  if (folder === null) {
    throw new SluiceError(
      "E_USAGE",
      "Expected a home folder for the cache, found none: HOME is not set, and this user has no entry. Name a folder in SLUICE_CACHE.",
    );
  }
  return folder;
}

/** The same, or null where neither is known: in a container with a user id that nobody has. */
export function cacheFolderIfAny(): string | null {
  const named = process.env["SLUICE_CACHE"] ?? "";
  if (named !== "") return named;
  const home = homeFolder();
  return home === null ? null : join(home, ".cache", "sluice");
}

function homeFolder(): string | null {
  try {
    // An empty HOME would make the cache a folder below wherever the command was called.
    return homedir() || null;
  } catch (error) {
    if ((error as { info?: { code?: unknown } }).info?.code === "ENOENT") return null;
    throw error;
  }
}
