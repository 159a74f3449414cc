import { z } from "zod";
import { getIfThere, type Store } from "../../connectors/store/store.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";

const storeIdentitySchema = z.strictObject({ schemaVersion: z.literal(1), id: z.string().min(1) });

/** What tells a store from another one; drawn the first time that somebody asks. A copy of it has the same. Throws E_STORE_CORRUPT. */
export async function storeIdentity(store: Store, newId: () => string): Promise<string> {
  const key = keys.storeIdentity;
  for (;;) {
    const bytes = await getIfThere(store, key);
    if (bytes !== null) {
      try {
        return storeIdentitySchema.parse(openSealedJson(bytes)).id;
      } catch (cause) {
        throw new SluiceError(
          "E_STORE_CORRUPT",
          `Expected the store's id at ${key}, found: ${messageOf(cause)}. Restore it.`,
          { cause, key },
        );
      }
    }
    await store.putIfAbsent(key, sealJson({ schemaVersion: 1, id: newId() }, 2));
  }
}
