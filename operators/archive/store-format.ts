import { z } from "zod";
import type { Store } from "../../connectors/store/store.js";
import { CODE_VERSION } from "../../schemas/code-version.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { openSealedJson } from "../../schemas/sealed-json.js";

/**
 * How this release lays out a store. A release that changes that counts one up; its `sluice migrate` writes `formats/<n>.json` once everything is as the
 * new format has it, and readers of the format before refuse the store from then on. A store of format 1 has no such object.
 */
export const STORE_FORMAT = 1;

const storeFormatSchema = z.looseObject({ schemaVersion: z.int(), codeVersion: z.string() });

/** Which format a store has: the highest number that was written down. Throws E_STORE_NEWER where this release knows no such format. */
export async function assertKnownFormat(store: Pick<Store, "list" | "get" | "place">): Promise<number> {
  let [newest, newestKey] = [1, ""];
  for await (const { key } of store.list(keys.formats)) {
    const format = Number(/\/(\d+)\.json$/.exec(key)?.[1] ?? 0);
    if (format > newest) [newest, newestKey] = [format, key];
  }
  if (newest <= STORE_FORMAT) return newest;
  throw new SluiceError(
    "E_STORE_NEWER",
    `Expected a store of format ${STORE_FORMAT} or older in ${store.place}, found format ${newest}, written by ${await writerOf(store, newestKey)}; this is Sluice ${CODE_VERSION}. ` +
      "Nothing was changed. Install that release or a newer one.",
    { format: newest, key: newestKey },
  );
}

async function writerOf(store: Pick<Store, "get">, key: string): Promise<string> {
  try {
    return `Sluice ${storeFormatSchema.parse(openSealedJson(await store.get(key))).codeVersion}`;
  } catch (error) {
    return `a Sluice that is not told (${messageOf(error)})`;
  }
}
