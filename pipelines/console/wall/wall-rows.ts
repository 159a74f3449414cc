import { identityOf } from "../../../operators/select/retractions.js";
import { rowsAt } from "../../../operators/version/choose-rows.js";
import { rowsOfEntries } from "../../../operators/version/rows-of-classes.js";
import type { IndexRow } from "../../../schemas/index-row.js";
import { chosenImage } from "../chosen-image.js";
import type { HeldSelection, StandingRows } from "../held-selection.js";

/** An image on a wall: what is shown of its row. */
export type WallImage = Omit<IndexRow, "rank" | "shard" | "label" | "class">;

/** A version's rows of a class, by the first words of their digests: they need not be read from the archive */
export type KnownRows = ReadonlyMap<string, IndexRow>;

/** What of a ranking is read: one class of it. */
export interface RankedClass {
  readonly held: HeldSelection;
  readonly stream: string;
  readonly classIndex: number;
  readonly standing: StandingRows;
  readonly known: KnownRows;
}

/** The images at places of a class's list, in that order. Throws as a cut. */
export async function imagesAt(ranked: RankedClass, places: readonly number[]): Promise<WallImage[]> {
  const { standing, known } = ranked;
  const unknown = places.filter((at) => !known.has(identityText(standing.rows.identity, at)));
  const read = await fromArchive(ranked, unknown);
  return places.map((at) => {
    const row = known.get(identityText(standing.rows.identity, at));
    return row === undefined ? read.get(at)! : { ...wallImage(row), by: byOf(standing, at) };
  });
}

/** The rank that a version gave the image at a place; null: it is not in it. */
export function versionRankAt({ standing, known }: RankedClass, at: number): number | null {
  return known.get(identityText(standing.rows.identity, at))?.rank ?? null;
}

export function knownRows(rows: readonly IndexRow[]): KnownRows {
  return new Map(
    rows.filter(({ repeat }) => repeat === 0).map((row) => [identityText(identityOf(row.sha256), 0), row]),
  );
}

export function wallImage(row: IndexRow): WallImage {
  const { sha256, key, probability, uri, partition, offset, eventTimeMs, sizeBytes } = row;
  const { width, height, licence, origin, notes, bytes, repeat, by } = row;
  const place = { uri, partition, offset, eventTimeMs, sizeBytes, width, height, licence, origin, notes };
  return { sha256, key, probability, ...place, bytes, repeat, by };
}

async function fromArchive(
  { held, stream, classIndex, standing }: RankedClass,
  places: readonly number[],
): Promise<Map<number, WallImage>> {
  if (places.length === 0) return new Map();
  const { placed } = standing;
  const rows = rowsAt(standing.rows, Int32Array.from(places));
  const isPlaced = (row: number): boolean => byOf(standing, places[row]!) === "label";
  const entries = {
    class: classIndex,
    // What goes before all others has its own key again.
    rows: { ...rows, keys: rows.keys.map((key, row) => (isPlaced(row) ? placed!.keys[places[row]!]! : key)) },
    repeat: new Uint32Array(places.length),
    ...(placed === null
      ? {}
      : {
          byLabel: Uint8Array.from(places, (_, row) => (isPlaced(row) ? 1 : 0)),
          probability: Float64Array.from(places, (at, row) =>
            isPlaced(row) ? placed.probability[at]! : Math.exp(rows.keys[row]!),
          ),
        }),
  };
  const archive = { archive: held.archive, stream, frontier: held.frontier, ranking: held.ranked };
  const chosen = await rowsOfEntries(archive, entries);
  return new Map(
    places.map((place, at): [number, WallImage] => [
      place,
      {
        ...chosenImage(chosen, at),
        repeat: 0,
        by: byOf(standing, place),
      },
    ]),
  );
}

function byOf({ placed }: StandingRows, at: number): WallImage["by"] {
  return at < (placed?.count ?? 0) ? "label" : "teacher";
}

/** An identity as text: four numbers. */
function identityText(identity: Uint32Array, at: number): string {
  return identity.subarray(4 * at, 4 * at + 4).join(" ");
}
