import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { packNamed, type PackIndex, type PackName } from "../../schemas/pack.js";
import { ChainPacks, placedPack } from "./chain-packs.js";
import { goneAsNull, readPackIndex, readStretch, stretchesOf, type MemberPlace } from "./pack-objects.js";

/** A kept image that is looked for. */
export interface WantedMember {
  /** 64 hexadecimal digits */
  readonly digest: string;
  /** The pack's whole name */
  readonly pack: string;
}

export interface FoundMember {
  /** Which one of those wanted, from 0 */
  readonly at: number;
  /** null where the bytes are not there, or not those of the digest */
  readonly bytes: Uint8Array | null;
  /** Why they are null */
  readonly reason: string | null;
}

/** Indexes kept, by their members (44 bytes each): images are asked for in any order */
const KEPT_MEMBERS = 1_000_000;
/** Stretches of some megabytes that are read at once */
const READ_AHEAD = 4;
/** A pack may be written anew between finding a member's place and reading it */
const LOOKS = 3;

/** Indexes held together while what they name is read, by their members */
const BATCH_MEMBERS = 500_000;

interface Batch {
  /** By the object that has them */
  readonly places: Map<string, { readonly index: PackIndex; readonly places: MemberPlace[] }>;
  readonly absent: { readonly at: number; readonly reason: string }[];
}

/** Reads members of packs, wherever they lie by now: several with one request where they lie next to each other. */
export class PackReader {
  readonly #store: Store;
  readonly #chains = new Map<string, ChainPacks>();
  readonly #indexes = new Map<string, PackIndex>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Yields every one that is wanted, in the order in which they lie. Throws E_STORE_IO and the like. */
  async *readMany(wanted: readonly WantedMember[]): AsyncGenerator<FoundMember, void, undefined> {
    let sought = wanted.map((_, at) => at);
    for (let look = 1; sought.length > 0; look++) {
      const again: number[] = [];
      for (const found of this.#batches(wanted, sought)) {
        const { absent, places } = await found;
        for (const { at, reason } of absent) yield { at, bytes: null, reason };
        for await (const { key, stretch, read } of this.#read(places)) {
          if (read !== null) {
            for (const { at, bytes } of read) {
              const reason = bytes === null ? `its bytes in ${key} are others than its digest says` : null;
              yield { at, bytes, reason };
            }
          } else if (look < LOOKS) {
            // It was written anew since.
            this.#forget(key, wanted[stretch.places[0]!.at]!.pack);
            again.push(...stretch.places.map(({ at }) => at));
          } else for (const { at } of stretch.places) yield { at, bytes: null, reason: `${key} is not there any more` };
        }
      }
      sought = again;
    }
  }

  /** Finds members' places, pack by pack, until the indexes of the objects that have them are many. */
  *#batches(wanted: readonly WantedMember[], sought: readonly number[]): Generator<Promise<Batch>, void, undefined> {
    const byPack = new Map<string, number[]>();
    for (const at of sought) {
      const known = byPack.get(wanted[at]!.pack);
      if (known === undefined) byPack.set(wanted[at]!.pack, [at]);
      else known.push(at);
    }
    const packs = [...byPack.keys()].sort();
    for (let next = 0; next < packs.length;) {
      yield (async () => {
        const batch: Batch = { places: new Map(), absent: [] };
        for (let members = 0; next < packs.length && members < BATCH_MEMBERS; next++) {
          const pack = packs[next]!;
          const before = batch.places.size;
          await this.#findIn(pack, byPack.get(pack)!, wanted, batch);
          if (batch.places.size > before) members += [...batch.places.values()].at(-1)!.index.count;
        }
        return batch;
      })();
    }
  }

  /** Where members of one pack lie: in what stands, else in what is there still. */
  async #findIn(pack: string, sought: readonly number[], wanted: readonly WantedMember[], batch: Batch): Promise<void> {
    let left = sought;
    let reason = "the pack that kept it has it no more";
    const name = packNamed(pack);
    if (name === null) reason = `"${pack}" is no pack's name`;
    else {
      try {
        for await (const key of this.#objectsOf(name)) {
          const index = await this.#index(key);
          if (index === null) continue;
          left = left.filter((at) => {
            const member = index.find(Buffer.from(wanted[at]!.digest, "hex"));
            if (member < 0) return true;
            const known = batch.places.get(key);
            if (known === undefined) batch.places.set(key, { index, places: [{ member, at }] });
            else known.places.push({ member, at });
            return false;
          });
          if (left.length === 0) return;
        }
      } catch (error) {
        if (!isSluiceError(error, "E_PACK_CORRUPT")) throw error;
        reason = error.message;
      }
    }
    for (const at of left) batch.absent.push({ at, reason });
  }

  #read(places: Batch["places"]) {
    const stretches = [...places].flatMap(([key, { index, places: members }]) =>
      stretchesOf(index, members).map((stretch) => ({ key, index, stretch })),
    );
    return ahead(stretches, READ_AHEAD, async ({ key, index, stretch }) => ({
      key,
      stretch,
      read: await goneAsNull(readStretch(this.#store, key, index, stretch)),
    }));
  }

  /**
   * For a scorer that would name a pack again: whether what stands has the member. What was dropped may be read for a while
   * yet, and is no place to lead to.
   */
  async stands(pack: string, digest: string): Promise<boolean> {
    const name = packNamed(pack);
    if (name === null) return false;
    const packs = this.#chainPacks(name);
    const start = await packs.covering(name.start);
    const standing = start === null ? null : await packs.standingFrom(start);
    if (standing === null || standing.dropped === 0) return true;
    const placed = placedPack(standing, name.start);
    const index = placed === null ? null : await this.#index(placed.key);
    return index !== null && index.find(Buffer.from(digest, "hex")) >= 0;
  }

  /** Objects that may have a pack's members, that of the standing generation first. */
  async *#objectsOf({ chain, start, attempt }: PackName): AsyncGenerator<string, void, undefined> {
    const own = keys.scoredPack(chain, start, attempt);
    const packs = this.#chainPacks({ chain });
    const covering = await packs.covering(start);
    if (covering !== null) {
      for await (const generation of packs.from(covering)) {
        const key = placedPack(generation, start)?.key;
        if (key !== undefined && key !== own) yield key;
      }
    }
    yield own;
  }

  #chainPacks({ chain }: Pick<PackName, "chain">): ChainPacks {
    const name = keys.packs(chain);
    let packs = this.#chains.get(name);
    if (packs === undefined) this.#chains.set(name, (packs = new ChainPacks(this.#store, chain)));
    return packs;
  }

  #forget(key: string, pack: string): void {
    this.#indexes.delete(key);
    const name = packNamed(pack);
    if (name !== null) this.#chainPacks(name).refresh();
  }

  /** null where there is no such object. */
  async #index(key: string): Promise<PackIndex | null> {
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = await goneAsNull(readPackIndex(this.#store, key));
    if (index === null) return null;
    this.#indexes.set(key, index);
    let kept = [...this.#indexes.values()].reduce((sum, { count }) => sum + count, 0);
    for (const [oldest, { count }] of this.#indexes) {
      if (kept <= KEPT_MEMBERS || oldest === key) break;
      this.#indexes.delete(oldest);
      kept -= count;
    }
    return index;
  }
}

/** Results in order, `most` of them under way at once. */
async function* ahead<T, R>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const underWay: Promise<R>[] = [];
  const begin = (item: T): void => {
    const one = work(item);
    // Thrown when its turn comes.
    one.catch(() => undefined);
    underWay.push(one);
  };
  try {
    for (let next = 0; next < items.length || underWay.length > 0;) {
      while (next < items.length && underWay.length < most) begin(items[next++]!);
      yield await underWay.shift()!;
    }
  } finally {
    await Promise.allSettled(underWay);
  }
}
