import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import { putHashed, type Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { fileNumber, sheetRows, type RowGroup } from "./publish-plan.js";
import { digestText } from "./fetched-images.js";

/**
 * The sheets' folder. Loaders that take every image below a folder for the data pass over names that begin so (Hugging Face's
 * `datasets`: "__"; Arrow's and Spark's: "_"); people see them all the same.
 */
export const SHEETS = "__sheets__";

export interface SheetOptions {
  readonly store: Store;
  /** The image of a row, null where its bytes are absent */
  readonly imageOf: (row: number) => Promise<Uint8Array | null>;
  readonly sheets: SheetRenderer;
  /** Key of the sheets' folder, with its closing `/` */
  readonly folder: string;
}

/** Draws a class's best, median and worst rows as `<class>.webp`. No file for a class without rows. */
export async function writeSheets(rows: ChosenRows, options: SheetOptions): Promise<ManifestFile[]> {
  if (rows.count === 0) return [];
  const { store, imageOf, sheets, folder } = options;
  const picks = sheetRows(rows.count, sheets.width);
  const lines = [];
  for (const [name, picked] of Object.entries(picks)) {
    const images = await Promise.all(
      picked.map(async (row) => ({ bytes: await imageOf(row), rank: row + 1, sha256: digestText(rows, row) })),
    );
    lines.push({ name, images });
  }
  const key = `${folder}${fileNumber(rows.class)}.webp`;
  return [{ key, ...(await putHashed(store, key, [await sheets.render(lines)])), rows: null }];
}

/** Which positions of a group stand on its classes' sheets. */
export function onSheets(group: RowGroup, { width }: Pick<SheetRenderer, "width">): ReadonlySet<number> {
  const positions = new Set<number>();
  for (const [index, { count }] of group.classes.entries())
    for (const row of Object.values(sheetRows(count, width)).flat()) positions.add(group.starts[index]! + row);
  return positions;
}
