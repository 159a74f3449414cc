import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { cardNamed, readCards } from "../../operators/archive/teacher-registry.js";
import { ranking } from "../../operators/select/ranking.js";
import { endIn, type Frontier } from "../../schemas/frontier.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { HeldAnswers } from "../versions/held-answers.js";
import { sampleArchive, type SampledRange } from "./archive-sample.js";

/** Archived rows that are read on either side, at most about */
const MOST_READ = 100_000;
/** Versions whose shares are held: 16 bytes a class */
const HELD = 16;

/** Parts of a stream, from its start to a version's frontier, that a share is told of each */
const PARTS = 16;

/** How often each class of a version was the best one of an image, among those that came since its parent and among those before. */
export interface ClassShares {
  /** By class; of images whose best class is one of the version's */
  readonly now: Float64Array;
  /** null: there is nothing to compare with, and `now` is of all that came */
  readonly before: Float64Array | null;
  /** The same of consecutive parts of the stream, the oldest first; null of those of which nothing was read */
  readonly parts: readonly (Float64Array | null)[];
  /** Rows that were read on either side */
  readonly rowsNow: number;
  readonly rowsBefore: number;
  /** All rows were read */
  readonly isWhole: boolean;
}

/** What flows in, class by class: whether it is another mixture than it was. Versions never change, so that each is read once. */
export class ClassDrift {
  readonly #store: Store;
  readonly #held = new HeldAnswers<ClassShares | null>(HELD);
  /** Those that have been read */
  readonly #known = new Map<string, ClassShares | null>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** `pending` while it is read. null where the archive does not tell. */
  of(manifest: Manifest, parent: Manifest | null): ClassShares | null | "pending" {
    const name = `${manifest.id}/${manifest.number}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    void this.#held.get(name, 1, async () => {
      const isComparable = parent?.teacher.digest === manifest.teacher.digest;
      const shares = await this.#read(manifest, isComparable ? parent : null);
      this.#known.set(name, shares);
      const oldest = this.#known.keys().next();
      if (this.#known.size > HELD && oldest.done !== true) this.#known.delete(oldest.value);
      return shares;
    });
    return "pending";
  }

  async #read(manifest: Manifest, parent: Manifest | null): Promise<ClassShares | null> {
    const { digest, labels } = manifest.teacher;
    const card = (await readCards(this.#store)).get(digest);
    if (card === undefined) return null;
    const archive = new ArchiveReader(this.#store, { teacher: digest, stream: manifest.provenance.stream });
    const since: SampledRange[] = [];
    const before: SampledRange[] = [];
    for (const { partition, origin, end } of manifest.provenance.frontier) {
      const chain = { partition, origin };
      const from = parent === null ? origin : Math.min(end, Math.max(origin, endIn(parent.provenance.frontier, chain)));
      if (from > origin) before.push({ partition, origin, from: origin, end: from });
      if (end > from) since.push({ partition, origin, from, end });
    }
    // Where nothing came since, or all did, it is one stream without a seam.
    if (since.length === 0 || before.length === 0) since.push(...before.splice(0));
    if (since.length === 0) return null;
    const partOf = partsOf(manifest.provenance.frontier);
    const parts = Array.from({ length: PARTS }, () => ({ shares: new Float64Array(manifest.classes.length), told: 0 }));
    const ranked = ranking(manifest.select, cardNamed(card, labels));
    const count = async (ranges: readonly SampledRange[]) => {
      const shares = new Float64Array(manifest.classes.length);
      let told = 0;
      const { rows, isWhole } = await sampleArchive(archive, ranges, MOST_READ, (batch) => {
        const { classes, topM } = ranked.scores(batch);
        for (let row = 0; row < batch.count; row++) {
          const best = classes[row * topM]!;
          if (best < 0 || best >= shares.length) continue;
          shares[best]!++;
          told++;
          const part = parts[partOf(batch.partition[row]!, Number(batch.offset[row]!))]!;
          part.shares[best]!++;
          part.told++;
        }
      });
      return { shares: told === 0 ? shares : shares.map((one) => one / told), rows, isWhole };
    };
    try {
      const [now, then] = [await count(since), before.length === 0 ? null : await count(before)];
      return {
        now: now.shares,
        before: then?.shares ?? null,
        parts: parts.map(({ shares, told }) => (told === 0 ? null : shares.map((one) => one / told))),
        rowsNow: now.rows,
        rowsBefore: then?.rows ?? 0,
        isWhole: now.isWhole && then?.isWhole !== false,
      };
    } catch (error) {
      // The archive has too little to tell what the best class of this selection is.
      if (isSluiceError(error, "E_SELECTION")) return null;
      throw error;
    }
  }
}

/** Which part of a stream an offset lies in: partitions run side by side. */
function partsOf(frontier: Frontier): (partition: number, offset: number) => number {
  const spans = new Map<number, { first: number; last: number }>();
  for (const { partition, origin, end } of frontier) {
    const { first, last } = spans.get(partition) ?? { first: origin, last: end };
    spans.set(partition, { first: Math.min(first, origin), last: Math.max(last, end) });
  }
  return (partition, offset) => {
    const { first, last } = spans.get(partition)!;
    return Math.min(PARTS - 1, Math.floor((PARTS * (offset - first)) / Math.max(1, last - first)));
  };
}
