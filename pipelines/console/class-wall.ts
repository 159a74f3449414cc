import { rowsAt } from "../../operators/version/choose-rows.js";
import { rowsOfEntries } from "../../operators/version/rows-of-classes.js";
import { digestText } from "../../operators/version/fetched-images.js";
import { identityOf } from "../../operators/select/retractions.js";
import type { TopkRows } from "../../operators/topk/topk.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import { BYTES } from "../../schemas/scored-batch.js";
import { HeldAnswers } from "../versions/held-answers.js";
import type { IndexGroups } from "../versions/index-groups.js";
import type { HeldSelection } from "./held-selection.js";

/** An image on a wall: what is shown of its row. */
export type WallImage = Omit<IndexRow, "rank" | "shard" | "label" | "class">;

export interface WallPlace {
  /** From 0, best first */
  readonly place: number;
  /** null: the version does not have it in this class */
  readonly versionRank: number | null;
  readonly row: WallImage;
}

export interface WallPage {
  /** Images that are ranked */
  readonly total: number;
  /** Probability of the K-th, null where there is none */
  readonly cutoff: number | null;
  readonly retracted: number;
  readonly rows: readonly WallPlace[];
}

/** A version's classes held by identity: some 500 bytes a row. */
const CLASSES_HELD = 4;

/** Reads walls: a class as the archive ranks it now, its rows taken from the version's index where that has them. */
export class ClassWalls {
  readonly #groups: IndexGroups;
  readonly #stream: string;
  readonly #byIdentity = new HeldAnswers<Map<string, IndexRow>>(CLASSES_HELD);

  constructor(groups: IndexGroups, stream: string) {
    this.#groups = groups;
    this.#stream = stream;
  }

  /** A class of a version by itself, in the order of its ranks. */
  async ofVersion(manifest: Manifest, classIndex: number, from: number, limit: number): Promise<WallPage> {
    const { count, worst } = manifest.classes[classIndex]!;
    const rows = await this.#groups.rowsOf(manifest, classIndex, from, from + limit);
    return {
      total: count,
      cutoff: worst,
      retracted: 0,
      rows: rows.map((row) => ({ place: row.rank - 1, versionRank: row.rank, row: wallImage(row) })),
    };
  }

  /** `manifest`: the version to compare with, and `versionClass` the same class there; null where it has none. */
  async ofArchive(
    held: HeldSelection,
    classIndex: number,
    against: { readonly manifest: Manifest; readonly versionClass: number } | null,
    page: { readonly from: number; readonly limit: number; readonly k: number },
  ): Promise<WallPage> {
    const { rows, places, retracted } = held.standing(classIndex);
    const known =
      against === null ? new Map<string, IndexRow>() : await this.#known(against.manifest, against.versionClass);
    const wanted = [...places.subarray(page.from, page.from + page.limit)];
    const unknown = wanted.filter((at) => !known.has(identityText(rows.identity, at)));
    const read = await this.#read(held, classIndex, rows, unknown);
    const last = places[Math.min(page.k, places.length) - 1];
    const cutoffOf = async (at: number): Promise<number> => {
      if (held.ranked.byProbability) return Math.exp(rows.keys[at]!);
      const row = known.get(identityText(rows.identity, at));
      return row?.probability ?? (await this.#read(held, classIndex, rows, [at])).get(at)!.probability ?? Number.NaN;
    };
    return {
      total: places.length,
      cutoff: last === undefined ? null : await cutoffOf(last),
      retracted,
      rows: wanted.map((at, index) => {
        const row = known.get(identityText(rows.identity, at));
        return {
          place: page.from + index,
          versionRank: row?.rank ?? null,
          row: row === undefined ? read.get(at)! : wallImage(row),
        };
      }),
    };
  }

  /** The archived rows behind places of a class's list. */
  async #read(
    held: HeldSelection,
    classIndex: number,
    rows: TopkRows,
    places: readonly number[],
  ): Promise<Map<number, WallImage>> {
    if (places.length === 0) return new Map();
    const entries = {
      class: classIndex,
      rows: rowsAt(rows, Int32Array.from(places)),
      repeat: new Uint32Array(places.length),
    };
    const archive = { archive: held.archive, stream: this.#stream, frontier: held.frontier, ranking: held.ranked };
    const chosen = await rowsOfEntries(archive, entries);
    return new Map(
      places.map((place, at): [number, WallImage] => [
        place,
        {
          sha256: digestText(chosen, at),
          key: chosen.keys[at]!,
          probability: chosen.probability[at]!,
          uri: chosen.uri[at]!,
          partition: chosen.partition[at]!,
          offset: chosen.offset[at]!,
          eventTimeMs: chosen.eventTimeMs[at]!,
          sizeBytes: chosen.sizeBytes[at]!,
          width: chosen.width[at]!,
          height: chosen.height[at]!,
          licence: chosen.licence[at]!,
          origin: chosen.origin[at]!,
          notes: chosen.notes[at]!,
          bytes: chosen.bytes[at] === BYTES.absent ? "absent" : "shard",
          repeat: 0,
          by: "teacher",
        },
      ]),
    );
  }

  #known(manifest: Manifest, classIndex: number): Promise<Map<string, IndexRow>> {
    return this.#byIdentity.get(`${manifest.id}/${manifest.number}/${classIndex}`, 1, async () => {
      const rows = await this.#groups.rowsOf(manifest, classIndex, 0, Number.POSITIVE_INFINITY);
      return new Map(rows.filter(({ repeat }) => repeat === 0).map((row) => [textOf(row.sha256), row]));
    });
  }
}

function wallImage(row: IndexRow): WallImage {
  const { sha256, key, probability, uri, partition, offset, eventTimeMs, sizeBytes } = row;
  const { width, height, licence, origin, notes, bytes, repeat, by } = row;
  const place = { uri, partition, offset, eventTimeMs, sizeBytes, width, height, licence, origin, notes };
  return { sha256, key, probability, ...place, bytes, repeat, by };
}

/** An identity as text: four numbers. */
function identityText(identity: Uint32Array, at: number): string {
  return identity.subarray(4 * at, 4 * at + 4).join(" ");
}

const textOf = (sha256: string): string => identityText(identityOf(sha256), 0);
