import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { corruptPack, type PackGeneration } from "../../schemas/pack.js";
import type { ChainReader } from "../archive/chain-reader.js";
import { ChainPacks } from "./chain-packs.js";
import { packMembers, readPackIndex } from "./pack-objects.js";

/** What a reading of a chain's packs has come to. */
export interface CheckedPacks {
  packs: number;
  images: number;
}

/**
 * Reads every pack of a chain that rows lead to, each image by its digest, and yields what is damaged or gone; `onPack` is told of
 * each. Segments that cannot be read are another's to tell of.
 */
export async function* damagedPacks(
  store: Store,
  reader: ChainReader,
  totals: CheckedPacks,
  onPack: () => void = () => undefined,
): AsyncGenerator<SluiceError, void, undefined> {
  const { chain } = reader;
  const packs = new ChainPacks(store, chain);
  const standing: PackGeneration[] = [];
  for (const start of await packs.starts()) {
    const found = await orError(packs.standingFrom(start));
    if (found instanceof SluiceError) yield found;
    else if (found !== null) standing.push(found);
  }
  const objects = function* (): Generator<string> {
    for (const generation of standing) yield* generation.packs.map(({ key }) => key);
  };
  const check = async (key: string): Promise<SluiceError | null> => {
    onPack();
    totals.packs++;
    const found = await orError(imagesIn(store, key));
    if (found instanceof SluiceError) return found;
    totals.images += found;
    return null;
  };
  for (const key of objects()) {
    const error = await check(key);
    if (error !== null) yield error;
  }
  for await (const header of reader.headers(chain.origin, undefined, () => undefined)) {
    if (header.pack === null || standing.some(({ start, end }) => start <= header.start && header.start < end))
      continue;
    const error = await check(keys.scoredPack(chain, header.start, header.pack));
    if (error !== null) yield error;
  }
}

async function imagesIn(store: Store, key: string): Promise<number> {
  const index = await readPackIndex(store, key);
  const members = packMembers(store, key, index);
  let images = 0;
  while ((await members.next()).done !== true) images++;
  return images;
}

/** What was asked for, or what is wrong with it. */
async function orError<T>(asked: Promise<T>): Promise<T | SluiceError> {
  try {
    return await asked;
  } catch (error) {
    if (isSluiceError(error, "E_PACK_CORRUPT")) return error;
    if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
    const { key } = error.context;
    return corruptPack(typeof key === "string" ? key : "packs/", "there is no such object", error);
  }
}
