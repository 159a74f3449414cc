import type { Store } from "../../connectors/store/store.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { Manifest } from "../../schemas/manifest.js";
import { readIndex } from "./index-reader.js";

/** One place of a version that holds another row than a cut does. */
export interface RowDifference {
  readonly class: number;
  readonly label: string;
  /** From 1 */
  readonly rank: number;
  /** null where the version has no row at this place */
  readonly published: ComparedRow | null;
  /** null where the cut has none */
  readonly cut: ComparedRow | null;
}

export interface ComparedRow {
  readonly sha256: string;
  /** null of a row by a label that the teacher did not archive in the class */
  readonly key: number | null;
}

interface PlacedRow extends ComparedRow {
  readonly class: number;
  readonly rank: number;
}

/**
 * The first places, in the order (class, rank), at which a version's index and a cut differ: at most `limit`. None where
 * the rows are the same and only the parameters in the manifest differ. Throws E_VERSION_CORRUPT, E_STORE_MISSING.
 */
export async function firstDifferences(
  store: Store,
  manifest: Manifest,
  made: Cut,
  limit: number,
): Promise<RowDifference[]> {
  const found: RowDifference[] = [];
  const published = readIndex(store, manifest);
  const cut = rowsOf(made);
  try {
    let left: PlacedRow | undefined = await nextOf(published);
    let right = await nextOf(cut);
    while (found.length < limit && (left !== undefined || right !== undefined)) {
      const order = compare(left, right);
      const place = (order <= 0 ? left : right)!;
      const a = order <= 0 ? left! : null;
      const b = order >= 0 ? right! : null;
      if (a === null || b === null || a.sha256 !== b.sha256 || !Object.is(a.key, b.key)) {
        found.push({
          class: place.class,
          label: made.labels[place.class] ?? String(place.class),
          rank: place.rank,
          published: a === null ? null : { sha256: a.sha256, key: a.key },
          cut: b === null ? null : { sha256: b.sha256, key: b.key },
        });
      }
      if (order <= 0) left = await nextOf(published);
      if (order >= 0) right = await nextOf(cut);
    }
  } finally {
    await published.return(undefined);
    await cut.return(undefined);
  }
  return found;
}

async function nextOf<T>(rows: AsyncGenerator<T>): Promise<T | undefined> {
  const next = await rows.next();
  return next.done === true ? undefined : next.value;
}

/** Below 0 where `a` comes first; a side that has ended comes last. */
function compare(a: PlacedRow | undefined, b: PlacedRow | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a.class - b.class || a.rank - b.rank;
}

async function* rowsOf(made: Cut): AsyncGenerator<PlacedRow> {
  for await (const rows of made.classes) {
    for (let row = 0; row < rows.count; row++) {
      const digest = rows.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
      const sha256 = Buffer.from(digest).toString("hex");
      yield { class: rows.class, rank: row + 1, sha256, key: Number.isNaN(rows.keys[row]!) ? null : rows.keys[row]! };
    }
  }
}
