import type { Store } from "../../connectors/store/store.js";
import { archivedLabels } from "../../operators/archive/image-labels.js";
import type { ChangedRow, ClassDiffRows, Reason } from "../../schemas/api/versions.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ImageLabel, LabelFrontier } from "../../schemas/image-label.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { IndexGroups } from "../versions/index-groups.js";
import type { ClassDiff } from "../versions/versions.js";

/** What of one class differs between two versions, image by image, with the reason of each. */
export async function classDifference(
  store: Store,
  groups: IndexGroups,
  [before, after]: readonly [Manifest, Manifest],
  pair: ClassDiff,
  page: { readonly from: number; readonly limit: number },
): Promise<ClassDiffRows> {
  const rowsOf = async (manifest: Manifest, index: number | null): Promise<Map<string, IndexRow>> => {
    if (index === null) return new Map();
    const rows = await groups.rowsOf(manifest, index, 0, Number.POSITIVE_INFINITY);
    return new Map(rows.filter(({ repeat }) => repeat === 0).map((row) => [row.sha256, row]));
  };
  const had = await rowsOf(before, pair.classBefore);
  const has = await rowsOf(after, pair.class);
  const said = await lastSaid(store, before, after);
  const why = new Reasons(before, after, pair, said);
  const entered: ChangedRow[] = [];
  const left: ChangedRow[] = [];
  const moved: ChangedRow[] = [];
  for (const row of has.values()) {
    const earlier = had.get(row.sha256);
    if (earlier === undefined) entered.push({ row, rankBefore: null, ...why.ofEntered(row) });
    else if (earlier.rank !== row.rank) moved.push({ row, rankBefore: earlier.rank, ...why.ofMoved(row, earlier) });
  }
  for (const row of had.values()) {
    if (!has.has(row.sha256)) left.push({ row, rankBefore: row.rank, ...why.ofLeft(row) });
  }
  const sideOf = (rows: ChangedRow[]): ClassDiffRows["entered"] => {
    const counts = new Map<Reason, number>();
    for (const { reason } of rows) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    return {
      total: rows.length,
      reasons: [...counts].map(([reason, count]) => ({ reason, count })),
      rows: rows.slice(page.from, page.from + page.limit),
    };
  };
  return { label: pair.label, entered: sideOf(entered), left: sideOf(left), moved: sideOf(moved) };
}

/** The newest that was said of each image between the two versions. */
async function lastSaid(store: Store, before: Manifest, after: Manifest): Promise<Map<string, ImageLabel>> {
  const heeded = (frontier: LabelFrontier): number => frontier.reduce((sum, { end }) => sum + end, 0);
  const [old, young] = [before.provenance.labels, after.provenance.labels];
  const last = new Map<string, ImageLabel>();
  if (heeded(young) <= heeded(old)) return last;
  for (const { partition, end } of young) {
    const from = old.find((one) => one.partition === partition)?.end ?? 0;
    let at = 0;
    for await (const label of archivedLabels(store, after.provenance.stream, [{ partition, end }])) {
      if (at++ >= from) last.set(label.sha256, label);
    }
  }
  return last;
}

type Because = Pick<ChangedRow, "reason" | "because">;

class Reasons {
  readonly #before: Manifest;
  readonly #after: Manifest;
  readonly #pair: ClassDiff;
  readonly #said: ReadonlyMap<string, ImageLabel>;
  readonly #sameTeacher: boolean;

  constructor(before: Manifest, after: Manifest, pair: ClassDiff, said: ReadonlyMap<string, ImageLabel>) {
    this.#before = before;
    this.#after = after;
    this.#pair = pair;
    this.#said = said;
    this.#sameTeacher = before.teacher.digest === after.teacher.digest;
  }

  ofEntered(row: IndexRow): Because {
    if (!this.#sameTeacher) return this.#otherTeacher();
    const label = this.#said.get(row.sha256);
    if (label !== undefined) return { reason: "label", because: saidText(label) };
    if (!isCovered(this.#before.provenance.frontier, row)) {
      return { reason: "new", because: `came after version ${this.#before.number} was cut` };
    }
    const { cutoffBefore } = this.#pair;
    if (cutoffBefore !== null && row.probability <= cutoffBefore) {
      const by = digits(cutoffBefore - row.probability);
      return {
        reason: "room",
        because: `was ${by} below the cut-off of version ${this.#before.number}; there is room now`,
      };
    }
    return this.#otherParameters();
  }

  ofLeft(row: IndexRow): Because {
    if (!this.#sameTeacher) return this.#otherTeacher();
    const label = this.#said.get(row.sha256);
    if (label !== undefined) return { reason: "label", because: saidText(label) };
    const { cutoffAfter } = this.#pair;
    if (cutoffAfter !== null && row.probability <= cutoffAfter) {
      const by = digits(cutoffAfter - row.probability);
      return { reason: "pushed-out", because: `${by} below the cut-off of version ${this.#after.number}` };
    }
    return this.#otherParameters();
  }

  ofMoved(row: IndexRow, earlier: IndexRow): Because {
    if (!this.#sameTeacher) return this.#otherTeacher();
    const by = row.rank - earlier.rank;
    const ranks = `${Math.abs(by)} ${Math.abs(by) === 1 ? "rank" : "ranks"}`;
    return {
      reason: "rank",
      because: by > 0 ? `better images came: ${ranks} down` : `images above it left: ${ranks} up`,
    };
  }

  #otherTeacher(): Because {
    return {
      reason: "teacher",
      because: `teacher ${this.#after.teacher.name} (${this.#after.teacher.digest.slice(0, 12)}) scored it otherwise`,
    };
  }

  #otherParameters(): Because {
    return { reason: "parameters", because: `version ${this.#after.number} was made by other parameters` };
  }
}

function isCovered(frontier: Frontier, { partition, offset }: Pick<IndexRow, "partition" | "offset">): boolean {
  return frontier.some((chain) => chain.partition === partition && chain.origin <= offset && offset < chain.end);
}

/** What somebody said, as a sentence. */
export function saidText(label: ImageLabel): string {
  const who = label.by ?? "somebody";
  if (label.verdict === "is") return `${who} said that it is ${label.class}`;
  if (label.verdict === "not") return `${who} said that it is not ${label.class}`;
  if (label.verdict === "erased") return `${who} erased it`;
  return label.verdict === "none" ? `${who} said that it is of no class` : `${who} withdrew what was said of it`;
}

const digits = (value: number): string => (value === 0 ? "0" : value.toPrecision(2));
