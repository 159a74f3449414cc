import { getIfThere, type Store } from "../../connectors/store/store.js";
import { keys } from "../../schemas/keys.js";
import { decodeRelocation, encodeRelocation, type Relocation } from "../../schemas/relocation.js";

/** The relocations numbered `first` and up, in the order in which they were said. Throws E_STORE_CORRUPT. */
export async function readRelocations(store: Store, first = 0): Promise<Relocation[]> {
  const found: Relocation[] = [];
  for (let number = first; ; number++) {
    const key = keys.relocation(number);
    const bytes = await getIfThere(store, key);
    if (bytes === null) return found;
    found.push(decodeRelocation(bytes, key));
  }
}

/** Says one more, behind all that were said before; returns its number. */
export async function addRelocation(store: Store, relocation: Relocation): Promise<number> {
  for (let number = (await readRelocations(store)).length; ; number++) {
    if ((await store.putIfAbsent(keys.relocation(number), encodeRelocation(relocation))) === "created") return number;
  }
}
