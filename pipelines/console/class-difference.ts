import type { ChangedRow, ClassDiffRows, Reason } from "../../schemas/api/versions.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { Because, ChangeReasons } from "../versions/change-reasons.js";
import { comparedClass } from "../versions/diff-versions.js";
import type { IndexGroups } from "../versions/index-groups.js";
import type { ClassDiff } from "../versions/versions.js";

/** What of one class differs between two versions, image by image, with the reason of each; a page of it, or of those of one reason. */
export async function classDifference(
  groups: IndexGroups,
  why: ChangeReasons,
  [before, after]: readonly [Manifest, Manifest],
  pair: ClassDiff,
  page: { readonly from: number; readonly limit: number; readonly reason?: Reason | undefined },
): Promise<ClassDiffRows> {
  const rowsOf = async (manifest: Manifest, index: number | null): Promise<Map<string, IndexRow>> => {
    if (index === null) return new Map();
    const rows = await groups.rowsOf(manifest, index, 0, Number.POSITIVE_INFINITY);
    return new Map(rows.filter(({ repeat }) => repeat === 0).map((row) => [row.sha256, row]));
  };
  const had = await rowsOf(before, pair.classBefore);
  const has = await rowsOf(after, pair.class);
  const compared = comparedClass(before, after, pair);
  const entered: ChangedRow[] = [];
  const left: ChangedRow[] = [];
  const moved: ChangedRow[] = [];
  for (const row of has.values()) {
    const earlier = had.get(row.sha256);
    if (earlier === undefined) entered.push({ row, rankBefore: null, ...shown(why.ofEntered(row, compared)) });
    else if (earlier.rank !== row.rank)
      moved.push({ row, rankBefore: earlier.rank, ...shown(why.ofMoved(row, earlier.rank)) });
  }
  for (const row of had.values()) {
    if (!has.has(row.sha256)) left.push({ row, rankBefore: row.rank, ...shown(why.ofLeft(row, compared)) });
  }
  const sideOf = (rows: ChangedRow[]): ClassDiffRows["entered"] => {
    const counts = new Map<Reason, number>();
    for (const { reason } of rows) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    const shown = page.reason === undefined ? rows : rows.filter(({ reason }) => reason === page.reason);
    return {
      total: rows.length,
      shown: shown.length,
      reasons: [...counts].map(([reason, count]) => ({ reason, count })),
      rows: shown.slice(page.from, page.from + page.limit),
    };
  };
  return { label: pair.label, entered: sideOf(entered), left: sideOf(left), moved: sideOf(moved) };
}

/** By the reasons that the page has names for: an erasure is a label, too. */
function shown({ reason, because }: Because): Pick<ChangedRow, "reason" | "because"> {
  if (reason === "erased") return { reason: "label", because };
  return { reason: reason === "duplicate" || reason === "guard" ? "parameters" : reason, because };
}
