import { createHash } from "node:crypto";
import type { Store, HashedObject } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";

/** One object's stream that is hashed as it is read; `digest` is right once it was read to its end. */
export function hashed(store: Pick<Store, "getStream">): Pick<Store, "getStream"> & { digest(): HashedObject } {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  return {
    async *getStream(key) {
      for await (const chunk of store.getStream(key)) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        yield chunk;
      }
    },
    digest: () => ({ sizeBytes, sha256: hash.digest("hex") }),
  };
}

/** Size and SHA-256 of a stored object, null where there is none. */
export async function hashObject(store: Pick<Store, "getStream">, key: string): Promise<HashedObject | null> {
  const stream = hashed(store);
  try {
    const chunks = stream.getStream(key)[Symbol.asyncIterator]();
    while ((await chunks.next()).done !== true);
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    throw error;
  }
  return stream.digest();
}
