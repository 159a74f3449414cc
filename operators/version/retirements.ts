import { z } from "zod";
import { getIfThere, type Store } from "../../connectors/store/store.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { keys, retirementPlace } from "../../schemas/keys.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";

const retirementSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** When, ms since the epoch */
  atMs: z.int(),
  /** By which rule, or why the version is kept again */
  reason: z.string(),
});
type Retirement = Omit<z.infer<typeof retirementSchema>, "schemaVersion">;

/** A version that was let go: its manifest stays, its files go. */
export interface RetiredVersion extends Retirement {
  readonly number: number;
  /** Of the object that says so, in the version's row of them */
  readonly turn: number;
}

/** The objects of a version's row take turns: an odd one retires it, an even one keeps it again. */
export function isRetiredAt(turn: number): boolean {
  return turn % 2 === 1;
}

/** The retired versions of a dataset, number ascending. Throws E_STORE_CORRUPT. */
export async function retiredVersions(store: Store, dataset: string): Promise<RetiredVersion[]> {
  const turns = new Map<number, number>();
  const data = keys.attempts(dataset);
  for await (const { key } of store.list(keys.versions(dataset))) {
    if (key >= data) break;
    const place = retirementPlace(key);
    if (place !== null) turns.set(place.number, Math.max(place.turn, turns.get(place.number) ?? 0));
  }
  const retired: RetiredVersion[] = [];
  for (const [number, turn] of [...turns].sort(([a], [b]) => a - b)) {
    if (isRetiredAt(turn)) retired.push({ number, turn, ...(await readTurn(store, dataset, number, turn)) });
  }
  return retired;
}

/** How one version was let go; null where it stands. Throws E_STORE_CORRUPT. */
export async function retirementOf(store: Store, dataset: string, number: number): Promise<RetiredVersion | null> {
  let turn = 0;
  while ((await getIfThere(store, keys.retirement(dataset, number, turn + 1))) !== null) turn++;
  return isRetiredAt(turn) ? { number, turn, ...(await readTurn(store, dataset, number, turn)) } : null;
}

/** Lets a version go, or keeps it again: `turn` is that of the object which stands, 0 for none. `false`: another one said something meanwhile. */
export async function turnRetirement(
  store: Store,
  dataset: string,
  { number, turn, ...said }: RetiredVersion,
): Promise<boolean> {
  const key = keys.retirement(dataset, number, turn + 1);
  return (await store.putIfAbsent(key, sealJson({ schemaVersion: 1, ...said }, 2))) === "created";
}

async function readTurn(store: Store, dataset: string, number: number, turn: number): Promise<Retirement> {
  const key = keys.retirement(dataset, number, turn);
  try {
    const { atMs, reason } = retirementSchema.parse(openSealedJson(await store.get(key)));
    return { atMs, reason };
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected at ${key} why version ${dataset}/${number} was let go, found: ${messageOf(cause)}. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
