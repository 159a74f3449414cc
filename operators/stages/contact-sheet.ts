import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { Store } from "../../connectors/store/store.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { fileNumber, sheetRows } from "../pure/publish-plan.js";
import { digestText, type BytesOf } from "./shard-writer.js";

/**
 * The sheets' folder. Loaders that take every image below a folder for the data pass over names that begin so (Hugging Face's
 * `datasets`: "__"; Arrow's and Spark's: "_"); people see them all the same.
 */
export const SHEETS = "__sheets__";

export interface SheetOptions {
  readonly store: Store;
  readonly bytesOf: BytesOf;
  readonly sheets: SheetRenderer;
  /** Key of the sheets' folder, with its closing `/` */
  readonly folder: string;
}

/** Draws a class's best, median and worst rows as `<class>.webp`. No file for a class without rows. */
export async function writeSheets(rows: ChosenRows, options: SheetOptions): Promise<ManifestFile[]> {
  if (rows.count === 0) return [];
  const { store, bytesOf, sheets, folder } = options;
  const picks = sheetRows(rows.count, sheets.width);
  const lines = [];
  for (const [name, picked] of Object.entries(picks)) {
    const images = await Promise.all(
      picked.map(async (row) => {
        const sha256 = digestText(rows, row);
        return { bytes: await bytesOf(sha256, rows.uri[row]!, rows.sizeBytes[row]!), rank: row + 1, sha256 };
      }),
    );
    lines.push({ name, images });
  }
  const key = `${folder}${fileNumber(rows.class)}.webp`;
  return [{ key, ...(await store.putStream(key, [await sheets.render(lines)])), rows: null }];
}
