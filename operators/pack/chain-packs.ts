import type { Store } from "../../connectors/store/store.js";
import { keys, packGenerationPlace, type ChainName } from "../../schemas/keys.js";
import { decodeGeneration, type PackGeneration, type PlacedPack } from "../../schemas/pack.js";

/** The generations of one chain's packs, as one reader or writer knows them. */
export class ChainPacks {
  readonly chain: ChainName;
  readonly #store: Store;
  /** Generations by where they begin, ascending both */
  #numbers: Promise<Map<number, number[]>> | null = null;
  readonly #read = new Map<string, PackGeneration>();

  constructor(store: Store, chain: ChainName) {
    this.#store = store;
    this.chain = chain;
  }

  /** Looks anew at which there are; what is read of one never changes. */
  refresh(): void {
    this.#numbers = null;
  }

  /** Where generations begin, ascending. */
  async starts(): Promise<number[]> {
    return [...(await this.#listed()).keys()];
  }

  /** Numbers of those that begin at an offset, ascending; none where nothing was written anew there. */
  async numbersAt(start: number): Promise<readonly number[]> {
    return (await this.#listed()).get(start) ?? [];
  }

  /** Those that begin at an offset, the standing one first. Throws E_PACK_CORRUPT. */
  async *from(start: number): AsyncGenerator<PackGeneration, void, undefined> {
    for (const number of (await this.numbersAt(start)).toReversed()) yield await this.#generation(start, number);
  }

  /** The standing one that begins at an offset; null where there is none. */
  async standingFrom(start: number): Promise<PackGeneration | null> {
    for await (const generation of this.from(start)) return generation;
    return null;
  }

  /** Where the generations begin that a pack falls under; null where it falls under none. */
  async covering(packStart: number): Promise<number | null> {
    const start = (await this.starts()).findLast((one) => one <= packStart);
    if (start === undefined) return null;
    const standing = await this.standingFrom(start);
    return standing !== null && packStart < standing.end ? start : null;
  }

  async #generation(start: number, number: number): Promise<PackGeneration> {
    const key = keys.packGeneration(this.chain, start, number);
    let read = this.#read.get(key);
    if (read === undefined) {
      read = decodeGeneration(await this.#store.get(key), this.chain, start, number);
      this.#read.set(key, read);
    }
    return read;
  }

  async #listed(): Promise<Map<number, number[]>> {
    this.#numbers ??= this.#list();
    try {
      return await this.#numbers;
    } catch (error) {
      // The next one that asks lists them again.
      this.#numbers = null;
      throw error;
    }
  }

  async #list(): Promise<Map<number, number[]>> {
    const numbers = new Map<number, number[]>();
    for await (const { key } of this.#store.list(keys.packGenerations(this.chain))) {
      const place = packGenerationPlace(key);
      if (place === null) continue;
      const known = numbers.get(place.start);
      if (known === undefined) numbers.set(place.start, [place.generation]);
      else known.push(place.generation);
    }
    return numbers;
  }
}

/** Objects that have what the pack of the segment at `start` had: one, and what came back; none where all of that was dropped. */
export function placedPacks({ packs }: PackGeneration, start: number): PlacedPack[] {
  return packs.filter(({ from, to }) => from <= start && start < to);
}
