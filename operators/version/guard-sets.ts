import { getIfThere, type Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { decodeGuardSet, encodeGuardSet, guardDigest, type GuardedBy, type GuardSet } from "../../schemas/guard.js";
import { keys } from "../../schemas/keys.js";

/** The guarded sets as they stand behind a number of objects. */
export interface StandingGuard {
  readonly objects: number;
  /** By name */
  readonly sets: readonly GuardSet[];
  /** null: nothing is guarded */
  readonly by: GuardedBy | null;
}

/** Reads the guarded sets: all that stand, or those that stood behind `objects`. Throws E_STORE_CORRUPT. */
export async function readGuard(store: Store, objects = Number.POSITIVE_INFINITY): Promise<StandingGuard> {
  const standing = new Map<string, GuardSet>();
  let number = 0;
  for (; number < objects; number++) {
    const key = keys.guard(number);
    const bytes = await getIfThere(store, key);
    if (bytes === null) {
      if (objects === Number.POSITIVE_INFINITY) break;
      throw new SluiceError(
        "E_STORE_CORRUPT",
        `Expected a guarded set at ${key}, since a version heeded ${objects}; found none. Restore the object from a copy.`,
        { key },
      );
    }
    const set = decodeGuardSet(bytes, key);
    if (set.from === null) standing.delete(set.name);
    else standing.set(set.name, set);
  }
  const sets = [...standing.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const digest = guardDigest(sets);
  const told = sets.map(({ name, images, distance }) => ({ name, images, distance }));
  return { objects: number, sets, by: digest === null ? null : { digest, objects: number, sets: told } };
}

/** Says one more, behind all that were said before. */
export async function addGuardSet(store: Store, set: GuardSet): Promise<void> {
  for (let { objects: number } = await readGuard(store); ; number++)
    if ((await store.putIfAbsent(keys.guard(number), encodeGuardSet(set))) === "created") return;
}
