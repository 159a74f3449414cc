import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { IndexRow } from "../../schemas/index-row.js";

export interface ClassPrecision {
  readonly label: string;
  readonly rows: number;
  /** rows whose image truly is of the class */
  readonly right: number;
  /** rows whose image is no digit at all */
  readonly distractors: number;
}

/**
 * How many rows of a version are right, by the true labels of the wild images, which nothing but this report reads.
 * `truth` is the CSV that `makeQuickstartImages` wrote, `wild` the folder of the images.
 */
export async function precisionOf(
  rows: AsyncIterable<IndexRow>,
  truth: string,
  wild: string,
): Promise<readonly ClassPrecision[]> {
  const digits = new Map<string, string>();
  for (const line of (await readFile(truth, "utf8")).split("\n").slice(1)) {
    const [path, , digit] = line.split(",");
    if (path !== undefined && digit !== undefined) digits.set(path, digit);
  }
  const classes = new Map<string, { rows: number; right: number; distractors: number }>();
  for await (const { label, uri } of rows) {
    const digit = digits.get(relative(wild, fileURLToPath(uri))) ?? "";
    const counts = classes.get(label) ?? { rows: 0, right: 0, distractors: 0 };
    classes.set(label, counts);
    counts.rows++;
    if (digit === label) counts.right++;
    if (digit === "") counts.distractors++;
  }
  return [...classes].map(([label, counts]) => ({ label, ...counts }));
}
