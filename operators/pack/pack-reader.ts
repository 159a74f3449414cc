import type { Store } from "../../connectors/store/store.js";
import { awaitedLater, isSluiceError, type SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { packNamed, type PackIndex, type PackName } from "../../schemas/pack.js";
import { ChainPacks, placedPacks } from "./chain-packs.js";
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
  /** What is said of packs whose members cannot be found for damage */
  readonly damaged: Map<string, string>;
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
    const lookedAt = new Set<ChainPacks>();
    let sought = wanted.map((_, at) => at);
    for (let look = 1; sought.length > 0; look++) {
      const again: number[] = [];
      for (const found of this.#batches(wanted, sought, lookedAt)) {
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
  *#batches(
    wanted: readonly WantedMember[],
    sought: readonly number[],
    lookedAt: Set<ChainPacks>,
  ): Generator<Promise<Batch>, void, undefined> {
    const byPack = new Map<string, number[]>();
    for (const at of sought) {
      const known = byPack.get(wanted[at]!.pack);
      if (known === undefined) byPack.set(wanted[at]!.pack, [at]);
      else known.push(at);
    }
    const packs = [...byPack.keys()].sort();
    for (let next = 0; next < packs.length;) {
      yield (async () => {
        const batch: Batch = { places: new Map(), absent: [], damaged: new Map() };
        for (let members = 0; next < packs.length && members < BATCH_MEMBERS; next++) {
          const pack = packs[next]!;
          const before = batch.places.size;
          const left = await this.#findIn(pack, byPack.get(pack)!, wanted, batch);
          if (left.length > 0) await this.#lookAgain(pack, left, wanted, batch, lookedAt);
          if (batch.places.size > before) members += [...batch.places.values()].at(-1)!.index.count;
        }
        return batch;
      })();
    }
  }

  /** Places of members of one pack: in what stands, else in what is there still. Returns those that lie nowhere. */
  async #findIn(
    pack: string,
    sought: readonly number[],
    wanted: readonly WantedMember[],
    { places, damaged }: Batch,
  ): Promise<readonly number[]> {
    const name = packNamed(pack);
    if (name === null) return sought;
    let left = sought;
    const onDamaged = ({ message }: SluiceError): null => {
      damaged.set(pack, message);
      return null;
    };
    for await (const key of this.#objectsOf(name, onDamaged)) {
      const index = await unlessDamaged(this.#index(key), onDamaged);
      if (index === null) continue;
      left = left.filter((at) => {
        const member = index.find(Buffer.from(wanted[at]!.digest, "hex"));
        if (member < 0) return true;
        const known = places.get(key);
        if (known === undefined) places.set(key, { index, places: [{ member, at }] });
        else known.places.push({ member, at });
        return false;
      });
      if (left.length === 0) break;
    }
    return left;
  }

  /** What was not found may have been written anew since the chain's generations were listed: they are once more, once a reading. */
  async #lookAgain(
    pack: string,
    sought: readonly number[],
    wanted: readonly WantedMember[],
    batch: Batch,
    lookedAt: Set<ChainPacks>,
  ): Promise<void> {
    let left = sought;
    const name = packNamed(pack);
    const packs = name === null ? null : this.#chainPacks(name);
    if (packs !== null && !lookedAt.has(packs)) {
      lookedAt.add(packs);
      packs.refresh();
      left = await this.#findIn(pack, sought, wanted, batch);
    }
    const nameless = `"${pack}" is no pack's name`;
    const reason = packs === null ? nameless : (batch.damaged.get(pack) ?? "the pack that kept it has it no more");
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
    for (const { key } of placedPacks(standing, name.start)) {
      const index = await this.#index(key);
      if (index !== null && index.find(Buffer.from(digest, "hex")) >= 0) return true;
    }
    return false;
  }

  /** Objects that may have a pack's members, that of the standing generation first. */
  async *#objectsOf(
    { chain, start, attempt }: PackName,
    onDamaged: (error: SluiceError) => null,
  ): AsyncGenerator<string, void, undefined> {
    const own = keys.scoredPack(chain, start, attempt);
    const packs = this.#chainPacks({ chain });
    const covering = await unlessDamaged(packs.covering(start), onDamaged);
    if (covering !== null) {
      for await (const generation of packs.from(covering)) {
        for (const { key } of placedPacks(generation, start)) if (key !== own) yield key;
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

/** What was asked for; null, and the damage is told of, where it is not as it was written. */
async function unlessDamaged<T>(asked: Promise<T>, onDamaged: (error: SluiceError) => null): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (!isSluiceError(error, "E_PACK_CORRUPT")) throw error;
    return onDamaged(error);
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
    underWay.push(awaitedLater(work(item)));
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
