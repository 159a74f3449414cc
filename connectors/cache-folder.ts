import { homedir } from "node:os";
import { join } from "node:path";

/** Where what is fetched and built once is kept, outside any checkout: $SLUICE_CACHE, else ~/.cache/sluice. */
export function cacheFolder(): string {
  return process.env["SLUICE_CACHE"] ?? join(homedir(), ".cache", "sluice");
}
