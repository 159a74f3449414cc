import { z } from "zod";
import { getIfThere, type Store } from "../../connectors/store/store.js";
import { keys } from "../../schemas/keys.js";
import { readSealed, sealJson } from "../../schemas/sealed-json.js";

const storeIdentitySchema = z.strictObject({ schemaVersion: z.literal(1), id: z.string().min(1) });

/** What tells a store from another one; drawn the first time that somebody asks. A copy of it has the same. Throws E_STORE_CORRUPT. */
export async function storeIdentity(store: Store, newId: () => string): Promise<string> {
  const key = keys.storeIdentity;
  for (;;) {
    const bytes = await getIfThere(store, key);
    if (bytes !== null) {
      return readSealed(storeIdentitySchema, bytes, { key, what: "the store's id", repair: "Restore it." }).id;
    }
    await store.putIfAbsent(key, sealJson({ schemaVersion: 1, id: newId() }, 2));
  }
}
