import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { DigestSet } from "../topk/digest-set.js";
import { eachRow, type RowGroup } from "../version/publish-plan.js";
import { ArchiveReader } from "./archive-reader.js";
import { digestText } from "../version/fetched-images.js";
import { rowsOfImages } from "./rows-of-images.js";
import { readCards } from "./teacher-registry.js";

/** Where an image was seen. */
export interface SeenAt {
  /** null where it came without a place of its own */
  readonly uri: string | null;
  /** Whole name of the pack that kept it; null where none did */
  readonly pack: string | null;
}

/** Other places kept of an image: the newest, which are the likeliest to have it still. */
const PLACES_KEPT = 8;
/** Missing images of a group that are looked up in the runs, which costs a row group for each of their rows; more are worth a whole reading. */
const LOOKED_UP = 64;

/** What is known of one group by now: under the teacher, or under all others. */
interface Known {
  readonly teachers: () => Promise<readonly string[]>;
  /** Images that were looked up one at a time */
  readonly lookedUp: Set<string>;
  readonly archives: Map<string, ArchiveReader>;
  /** The one reading for all that is left of the group */
  all: Promise<void> | null;
}

/**
 * Where else a version's images were seen. A few of a group's images that are missing are looked up in the runs' indexes of digests; for more, the
 * archive is read once for all of the group. The archives of other teachers are asked only where an image is in none of those places. Nothing is read
 * where nothing is missing. Memory: some 200 bytes for each of the group's images that were seen at several places.
 */
export class OtherPlaces {
  readonly #store: Store;
  readonly #teacher: string;
  readonly #stream: string;
  #group: RowGroup | null = null;
  /** Places by digest, of teachers read so far */
  #places = new Map<string, SeenAt[]>();
  #own: Known;
  #others: Known;

  constructor(store: Store, archive: { readonly teacher: string; readonly stream: string }) {
    this.#store = store;
    this.#teacher = archive.teacher;
    this.#stream = archive.stream;
    this.#own = this.#nothingOfOwn();
    this.#others = this.#nothingOfOthers();
  }

  #nothingOfOwn(): Known {
    return { teachers: () => Promise.resolve([this.#teacher]), lookedUp: new Set(), archives: new Map(), all: null };
  }

  #nothingOfOthers(): Known {
    const teachers = async (): Promise<string[]> =>
      [...(await readCards(this.#store)).keys()].filter((teacher) => teacher !== this.#teacher);
    return { teachers, lookedUp: new Set(), archives: new Map(), all: null };
  }

  /** The images that are asked for from here on. */
  expect(group: RowGroup): void {
    this.#group = group;
    this.#places = new Map();
    this.#own = this.#nothingOfOwn();
    this.#others = this.#nothingOfOthers();
  }

  /** Where an image was seen, newest first. `own`: under the teacher; `all`: under any. */
  async of(sha256: string, reach: "own" | "all"): Promise<readonly SeenAt[]> {
    const group = this.#group;
    if (group === null) return [];
    const known = reach === "own" ? this.#own : this.#others;
    if (!known.lookedUp.has(sha256)) {
      const isLookedUp = known.all === null && known.lookedUp.size < LOOKED_UP && (await this.#lookUp(sha256, known));
      if (!isLookedUp) await (known.all ??= this.#read(group, known));
    }
    return this.#places.get(sha256) ?? [];
  }

  /** Whether the runs could say it: an index that is damaged leaves it to those who read all. */
  async #lookUp(sha256: string, known: Known): Promise<boolean> {
    const found: SeenAt[] = [];
    try {
      for (const teacher of await known.teachers()) {
        for await (const { batch, chain } of rowsOfImages(this.#archiveOf(teacher, known), [sha256]))
          found.push(seenAt(batch, 0, chain));
      }
    } catch (error) {
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
      return false;
    }
    known.lookedUp.add(sha256);
    for (const seen of found) this.#add(sha256, seen);
    return true;
  }

  #archiveOf(teacher: string, { archives }: Known): ArchiveReader {
    const known = archives.get(teacher);
    if (known !== undefined) return known;
    const archive = new ArchiveReader(this.#store, { teacher, stream: this.#stream });
    archives.set(teacher, archive);
    return archive;
  }

  /** Takes in one place more of an image, the newest so far. */
  #add(sha256: string, seen: SeenAt): void {
    if (seen.uri === null && seen.pack === null) return;
    const known = this.#places.get(sha256);
    if (known === undefined) this.#places.set(sha256, [seen]);
    else if (!known.some((one) => one.uri === seen.uri && one.pack === seen.pack)) {
      known.unshift(seen);
      if (known.length > PLACES_KEPT) known.pop();
    }
  }

  async #read(group: RowGroup, known: Known): Promise<void> {
    const wanted = new DigestSet();
    eachRow(group, 0, group.rows, (rows, row) => void wanted.add(rows.digest, row * DIGEST_BYTES));
    // What is left out of the archive for a gap is the cut's to say; here a place less is known.
    const passOver = (): void => undefined;
    for (const teacher of await known.teachers()) {
      const archive = this.#archiveOf(teacher, known);
      for (const chain of await archive.chains()) {
        const end = await archive.chain(chain).end(chain.origin, passOver);
        for await (const { batch } of archive.segments(chain, chain.origin, end, passOver)) {
          for (let row = 0; row < batch.count; row++) {
            if (!wanted.has(batch.digest, row * DIGEST_BYTES)) continue;
            const sha256 = digestText(batch, row);
            if (!known.lookedUp.has(sha256)) this.#add(sha256, seenAt(batch, row, chain));
          }
        }
      }
    }
  }
}

function seenAt(batch: ScoredBatch, row: number, chain: ChainName): SeenAt {
  const uri = batch.uri.get(row);
  const pack = batch.pack.get(row);
  return {
    uri: uri === null || uri.startsWith("log://") ? null : uri,
    pack: pack === null ? null : packOfRow(pack, chain),
  };
}
