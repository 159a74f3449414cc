import type { Store } from "../../../connectors/store/store.js";
import { digestText } from "../../../operators/version/fetched-images.js";
import type { LeftOut } from "../../../schemas/left-out.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { HeldAnswers } from "../../versions/held-answers.js";
import type { IndexGroups } from "../../versions/index-groups.js";
import { leftOutOf } from "../../versions/left-out.js";
import type { HeldSelection } from "../held-selection.js";
import { LIKE_DISTANCE, likeImages } from "./like-images.js";
import { opinionsOf, otherTeachers, type OtherOpinion, type OtherTeacher } from "./other-teacher.js";
import { asksOfRows, facetsOf, isShown, type WallFacets, type WallFilter } from "./wall-filter.js";
import {
  imagesAt,
  knownRows,
  versionRankAt,
  wallImage,
  type KnownRows,
  type RankedClass,
  type WallImage,
} from "./wall-rows.js";

export interface WallPlace {
  /** From 0, best first; of an image that is left out, where it would stand */
  readonly place: number;
  /** null: the version does not have it in this class */
  readonly versionRank: number | null;
  readonly row: WallImage;
  /** Why no version would have it; null: it would */
  readonly leftOut: LeftOut | null;
  /** How many images are left out because they are like it */
  readonly like: number;
  /** Place of the best of the images that are like it, where those are shown together; null elsewhere */
  readonly group: number | null;
  /** What another teacher takes it for, where that is asked for */
  readonly other: OtherOpinion | null;
}

export interface WallPage {
  /** Images that are ranked */
  readonly total: number;
  /** Those of them that a filter shows, and how many of these stand before K */
  readonly shown: number;
  readonly shownKept: number;
  /** Near duplicates and guarded images, which are not ranked */
  readonly leftOut: number;
  /** Probability of the K-th, null where there is none, or somebody placed it */
  readonly cutoff: number | null;
  readonly retracted: number;
  /** What a filter cannot tell, or of how many images it tells; null: all of it */
  readonly note: string | null;
  readonly rows: readonly WallPlace[];
}

export interface AskedPage {
  readonly from: number;
  readonly limit: number;
  readonly k: number;
  readonly filter: WallFilter;
}

/** Rows of classes that are held whole, by identity and by place: some 500 bytes each; the class asked for last is held whatever it has */
const ROWS_HELD = 100_000;
/** Classes of which it is held what a filter shows, and versions of which what they left out */
const CLASSES_HELD = 4;
/** Images that another teacher is asked of at once: an archive's runs are looked into one by one */
const MOST_ASKED = 4000;

/** How long another teacher's opinions stand while its archive grows, ms */
const OPINIONS_STAND_MS = 30_000;

/** What is shown, before its rows are read. */
interface Item {
  /** In the class's list */
  readonly at: number;
  readonly place: number;
  readonly leftOut?: LeftOut;
  readonly group?: number;
  readonly other?: OtherOpinion;
}

/** In its order */
interface Shown {
  readonly items: readonly Item[];
  /** As a page's */
  readonly note: string | null;
}

/** Reads walls: a class as the archive ranks it now, its rows taken from the version's index where that has them. */
export class ClassWalls {
  readonly #store: Store;
  readonly #groups: IndexGroups;
  readonly #stream: string;
  readonly #byIdentity = new HeldAnswers<KnownRows>(ROWS_HELD);
  readonly #images = new HeldAnswers<readonly WallImage[]>(ROWS_HELD);
  readonly #compared = new HeldAnswers<Shown>(CLASSES_HELD);
  readonly #outOfVersion = new HeldAnswers<ReadonlyMap<string, LeftOut>>(CLASSES_HELD);

  readonly #nowMs: () => number;

  constructor(store: Store, groups: IndexGroups, stream: string, nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#store = store;
    this.#groups = groups;
    this.#stream = stream;
  }

  /** A class of a version by itself, in the order of its ranks. */
  async ofVersion(manifest: Manifest, classIndex: number, { from, limit, filter }: AskedPage): Promise<WallPage> {
    const { count, worst } = manifest.classes[classIndex]!;
    const isWhole = !asksOfRows(filter);
    const rows = await this.#groups.rowsOf(manifest, classIndex, isWhole ? from : 0, isWhole ? from + limit : count);
    const found = isWhole ? rows : rows.filter((row) => isShown(wallImage(row), filter));
    const out = await this.#outOf(manifest, classIndex);
    const like = likeCounts(out.values());
    const shown = isWhole ? count : found.length;
    const none = filter.show === "all" ? null : `version ${manifest.number} by itself does not tell; the archive does`;
    return {
      total: count,
      shown,
      shownKept: shown,
      leftOut: out.size,
      cutoff: worst,
      retracted: 0,
      note: none,
      rows: (isWhole ? found : found.slice(from, from + limit)).map((row) => ({
        place: row.rank - 1,
        versionRank: row.rank,
        row: wallImage(row),
        leftOut: null,
        like: like.get(row.sha256) ?? 0,
        group: null,
        other: null,
      })),
    };
  }

  /** `against`: the version to compare with, and the same class there; null where it has none. */
  async ofArchive(
    held: HeldSelection,
    classIndex: number,
    against: { readonly manifest: Manifest; readonly versionClass: number } | null,
    { from, limit, k, filter }: AskedPage,
  ): Promise<WallPage> {
    const ranked = await this.#ranked(held, classIndex, against);
    const { standing } = ranked;
    const { places, leftOut, retracted, placed } = standing;
    const { items, shownKept, note } = await this.#shown(ranked, filter, k);
    const shown = items.slice(from, from + limit);
    const rows = await imagesAt(
      ranked,
      shown.map(({ at }) => at),
    );
    const out = against === null ? null : await this.#outOf(against.manifest, against.versionClass);
    const like = likeCounts(leftOut.length > 0 ? leftOut.map(({ why }) => why) : (out?.values() ?? []));
    const last = places[Math.min(k, places.length) - 1];
    const cutoffOf = async (at: number): Promise<number | null> => {
      if (at < (placed?.count ?? 0)) return null;
      return held.ranked.byProbability
        ? Math.exp(standing.rows.keys[at]!)
        : (await imagesAt(ranked, [at]))[0]!.probability;
    };
    return {
      total: places.length,
      shown: items.length,
      shownKept,
      leftOut: Math.max(leftOut.length, out?.size ?? 0),
      cutoff: last === undefined ? null : await cutoffOf(last),
      retracted,
      note,
      rows: shown.map((item, index) => {
        const row = rows[index]!;
        const versionRank = versionRankAt(ranked, item.at);
        return {
          place: item.place,
          versionRank,
          row,
          // What a version left out elsewhere, for images of its other classes, only that version tells.
          leftOut: item.leftOut ?? (versionRank === null ? (out?.get(row.sha256) ?? null) : null),
          like: like.get(row.sha256) ?? 0,
          group: item.group ?? null,
          other: item.other ?? null,
        };
      }),
    };
  }

  /** What a class's images can be filtered by. */
  async facets(
    held: HeldSelection,
    classIndex: number,
    against: { readonly manifest: Manifest; readonly versionClass: number } | null,
  ): Promise<WallFacets & { readonly others: readonly OtherTeacher[] }> {
    const ranked = await this.#ranked(held, classIndex, against);
    const others = await otherTeachers(this.#store, this.#stream, held.archive.archive.teacher);
    return { ...facetsOf(await this.#all(ranked)), others };
  }

  /** The same of a version by itself. */
  async facetsOfVersion(manifest: Manifest, classIndex: number): Promise<WallFacets> {
    const rows = await this.#groups.rowsOf(manifest, classIndex, 0, Number.POSITIVE_INFINITY);
    return facetsOf(rows.map(wallImage));
  }

  async #ranked(
    held: HeldSelection,
    classIndex: number,
    against: { readonly manifest: Manifest; readonly versionClass: number } | null,
  ): Promise<RankedClass> {
    const known = against === null ? knownRows([]) : await this.#known(against.manifest, against.versionClass);
    return { held, stream: this.#stream, classIndex, standing: await held.standing(classIndex), known };
  }

  async #shown(ranked: RankedClass, filter: WallFilter, k: number): Promise<Shown & { readonly shownKept: number }> {
    const { items, note } = await this.#items(ranked, filter, k);
    return { items, note, shownKept: items.filter((item) => item.leftOut === undefined && item.place < k).length };
  }

  /** What is shown. That for which hashes or another archive are read is worked out once for all its pages. */
  async #items(ranked: RankedClass, filter: WallFilter, k: number): Promise<Shown> {
    const { standing, held } = ranked;
    if (filter.show === "left-out") {
      const before = (at: number): number => standing.places.findIndex((place) => place > at);
      const items = standing.leftOut.map(({ at, why }) => {
        const place = before(at);
        return { at, place: place < 0 ? standing.places.length : place, leftOut: why };
      });
      return { items, note: null };
    }
    let items: readonly Item[] = [...standing.places].map((at, place) => ({ at, place }));
    if (asksOfRows(filter)) {
      const all = await this.#all(ranked);
      items = items.filter(({ at }) => isShown(all[at]!, filter));
    }
    if (filter.show === "all") return { items, note: null };
    const name = [held.name, standing.generation, ranked.classIndex, k, JSON.stringify(filter)].join("/");
    if (filter.show === "like") return this.#compared.get(name, 1, () => likeItems(ranked, items));
    const others = await otherTeachers(this.#store, this.#stream, held.archive.archive.teacher);
    const other = others.find(({ digest }) => digest === (filter.other ?? digest));
    if (other === undefined) return { items: [], note: "no other teacher has scored this stream" };
    const turn = Math.floor(this.#nowMs() / OPINIONS_STAND_MS);
    return this.#compared.get(`${name}/${other.digest}/${turn}`, 1, () => this.#differing(ranked, items, k, other));
  }

  /** Those of items that another teacher takes for something else. */
  async #differing(ranked: RankedClass, items: readonly Item[], k: number, other: OtherTeacher): Promise<Shown> {
    const { standing, held, classIndex } = ranked;
    const hashes = await held.hashesOf(standing.rows);
    // Those around the cut-off, where a second opinion is worth most.
    const near = items.toSorted((a, b) => Math.abs(a.place - k) - Math.abs(b.place - k)).slice(0, MOST_ASKED);
    const digestOf = (at: number): string => digestText(hashes, at);
    const place = { teacher: other.digest, stream: this.#stream, select: held.dataset.select };
    const opinions = await opinionsOf(
      this.#store,
      place,
      near.map(({ at }) => digestOf(at)),
    );
    const own = held.ranked.labels[classIndex];
    const differing = near.flatMap((item) => {
      const opinion = opinions.get(digestOf(item.at));
      return opinion === undefined || opinion.label === own ? [] : [{ ...item, other: opinion }];
    });
    const asked = near.length < items.length ? `, asked of the ${near.length} nearest to the cut-off` : "";
    return { items: differing.sort((a, b) => a.place - b.place), note: `by ${other.name}${asked}` };
  }

  /** All images of a class's list, by their places in it. */
  #all(ranked: RankedClass): Promise<readonly WallImage[]> {
    const { held, classIndex, standing } = ranked;
    const name = `${held.name}/${standing.generation}/${classIndex}`;
    return this.#images.get(name, standing.rows.count, () =>
      imagesAt(
        ranked,
        Array.from({ length: standing.rows.count }, (_, at) => at),
      ),
    );
  }

  #known(manifest: Manifest, classIndex: number): Promise<KnownRows> {
    const { count } = manifest.classes[classIndex]!;
    return this.#byIdentity.get(`${manifest.id}/${manifest.number}/${classIndex}`, count, async () =>
      knownRows(await this.#groups.rowsOf(manifest, classIndex, 0, Number.POSITIVE_INFINITY)),
    );
  }

  /** What a version left out of a class, by digest. */
  async #outOf(manifest: Manifest, classIndex: number): Promise<ReadonlyMap<string, LeftOut>> {
    const out = await this.#outOfVersion.get(`${manifest.id}/${manifest.number}`, 1, () =>
      leftOutOf(this.#store, manifest),
    );
    const mine = [...out].filter(([name]) => name.startsWith(`${classIndex} `));
    return new Map(mine.map(([, one]) => [one.sha256, one]));
  }
}

/** Items that look the same, together. */
async function likeItems({ standing, held }: RankedClass, items: readonly Item[]): Promise<Shown> {
  const hashes = await held.hashesOf(standing.rows);
  const placeOf = new Map(items.map(({ at, place }) => [at, place]));
  const distance = held.dataset.select.near?.distance ?? LIKE_DISTANCE;
  const groups = likeImages(hashes, [...placeOf.keys()], distance);
  const together = groups.flatMap((group) =>
    group.map((at) => ({ at, place: placeOf.get(at)!, group: placeOf.get(group[0]!)! })),
  );
  return { items: together, note: `${distance} of 256 bits apart at most` };
}

/** How many were left out for each image that they are like. */
function likeCounts(out: Iterable<LeftOut>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { by, partner } of out) if (by === "near") counts.set(partner, (counts.get(partner) ?? 0) + 1);
  return counts;
}
