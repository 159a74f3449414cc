import type { Store } from "../../connectors/store/store.js";
import { packOfRow } from "../../schemas/pack.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { DigestSet } from "../topk/digest-set.js";
import { eachRow, type RowGroup } from "../version/publish-plan.js";
import { ArchiveReader } from "./archive-reader.js";
import { digestText } from "../version/fetched-images.js";
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

/**
 * Where else a version's images were seen. When the first of a group's images is missing, the archive is read once for all
 * of the group; the archives of other teachers only where an image is in none of those places. Nothing is read where nothing
 * is missing. Memory: some 200 bytes for each of the group's images that were seen at several places.
 */
export class OtherPlaces {
  readonly #store: Store;
  readonly #teacher: string;
  readonly #stream: string;
  #group: RowGroup | null = null;
  /** Places by digest, of teachers read so far */
  #places = new Map<string, SeenAt[]>();
  #own: Promise<void> | null = null;
  #others: Promise<void> | null = null;

  constructor(store: Store, archive: { readonly teacher: string; readonly stream: string }) {
    this.#store = store;
    this.#teacher = archive.teacher;
    this.#stream = archive.stream;
  }

  /** The images that are asked for from here on. */
  expect(group: RowGroup): void {
    this.#group = group;
    this.#places = new Map();
    this.#own = null;
    this.#others = null;
  }

  /** Where an image was seen, newest first. `own`: under the teacher; `all`: under any. */
  async of(sha256: string, reach: "own" | "all"): Promise<readonly SeenAt[]> {
    const group = this.#group;
    if (group === null) return [];
    if (reach === "own") await (this.#own ??= this.#read(group, [this.#teacher]));
    else {
      const rest = async (): Promise<void> => {
        const teachers = [...(await readCards(this.#store)).keys()];
        await this.#read(
          group,
          teachers.filter((teacher) => teacher !== this.#teacher),
        );
      };
      await (this.#others ??= rest());
    }
    return this.#places.get(sha256) ?? [];
  }

  async #read(group: RowGroup, teachers: readonly string[]): Promise<void> {
    const wanted = new DigestSet();
    eachRow(group, 0, group.rows, (rows, row) => void wanted.add(rows.digest, row * DIGEST_BYTES));
    const places = this.#places;
    // What is left out of the archive for a gap is the cut's to say; here a place less is known.
    const passOver = (): void => undefined;
    for (const teacher of teachers) {
      const archive = new ArchiveReader(this.#store, { teacher, stream: this.#stream });
      for (const chain of await archive.chains()) {
        const end = await archive.chain(chain).end(chain.origin, passOver);
        for await (const { batch } of archive.segments(chain, chain.origin, end, passOver)) {
          for (let row = 0; row < batch.count; row++) {
            if (!wanted.has(batch.digest, row * DIGEST_BYTES)) continue;
            const uri = batch.uri.get(row);
            const pack = batch.pack.get(row);
            const seen: SeenAt = {
              uri: uri === null || uri.startsWith("log://") ? null : uri,
              pack: pack === null ? null : packOfRow(pack, chain),
            };
            if (seen.uri === null && seen.pack === null) continue;
            const sha256 = digestText(batch, row);
            const known = places.get(sha256);
            if (known === undefined) places.set(sha256, [seen]);
            else if (!known.some((one) => one.uri === seen.uri && one.pack === seen.pack)) {
              known.unshift(seen);
              if (known.length > PLACES_KEPT) known.pop();
            }
          }
        }
      }
    }
  }
}
