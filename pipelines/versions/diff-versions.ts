import type { Store } from "../../connectors/store/store.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { numberedSelection } from "../../operators/select/numbered-selection.js";
import { canonicalJson, type Json } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import type { DiffReason, ReasonCounts } from "../../schemas/api/versions.js";
import { ClassReader } from "./class-reader.js";
import { ChangeReasons, type Because, type ChangedImage, type ComparedClass } from "./change-reasons.js";
import {
  CONDITION_COLUMNS,
  conditionColumns,
  readSomeColumns,
  type ConditionFacts,
  type IndexColumns,
} from "./index-reader.js";

export interface ClassDiff {
  /** Its number in the later version; null where only the earlier one has it */
  readonly class: number | null;
  /** Its number in the earlier version; null where only the later one has it */
  readonly classBefore: number | null;
  readonly label: string;
  /** What the earlier version calls it */
  readonly labelBefore: string;
  readonly rowsBefore: number;
  readonly rowsAfter: number;
  /** Images that only the later version has in this class */
  readonly added: number;
  readonly removed: number;
  /** Images that both have, at another rank */
  readonly moved: number;
  /** Probability of the last row: what an image has to reach; null without rows */
  readonly cutoffBefore: number | null;
  readonly cutoffAfter: number | null;
  /** How many rows for each reason, the most frequent first */
  readonly reasons: { readonly entered: ReasonCounts; readonly left: ReasonCounts; readonly moved: ReasonCounts };
}

/** Columns of the index that tell what changed, and why */
const COMPARED = ["class", "sha256", "rank", "probability", "partition", "offset", "repeat"] as const;
type Compared = Pick<IndexColumns, (typeof COMPARED)[number] | "count"> & Partial<ConditionFacts>;

/** A row that entered, left or moved. */
export interface Change extends Because {
  readonly what: "entered" | "left" | "moved";
  readonly row: ChangedImage;
  /** Where it is in both */
  readonly rankBefore: number | null;
}

export interface VersionDiff {
  readonly before: { readonly number: number; readonly id: string };
  readonly after: { readonly number: number; readonly id: string };
  /** Same id: the same rows by the same parameters */
  readonly same: boolean;
  /** Selection parameters, span and teacher that differ, as JSON */
  readonly parameters: readonly { readonly name: string; readonly before: string; readonly after: string }[];
  readonly classes: readonly ClassDiff[];
  readonly totals: { readonly added: number; readonly removed: number; readonly moved: number; readonly kept: number };
}

/**
 * Compares two versions class by class, reading of both indexes what tells, once; memory holds one class of each, and of classes that stand in
 * another order those that have been passed. Classes are the same that are the same outputs of the same teacher, whatever they are called; else those
 * of the same name. `onClass` is given each class's changes in the later version's order, those that left last.
 * Throws what reading an index or the labels throws, and E_USAGE for versions without a class in common.
 */
export async function diffVersions(
  store: Store,
  before: Manifest,
  after: Manifest,
  onClass?: (pair: ClassDiff, changes: readonly Change[]) => void,
): Promise<VersionDiff> {
  const pairs = pairedClasses(before, after);
  if (!pairs.some(([old, young]) => old !== null && young !== null)) {
    throw new SluiceError(
      "E_USAGE",
      `Expected two versions with classes in common, found none of the same name in ${before.dataset} ${before.number} (${before.classes.length} classes) and ` +
        `${after.dataset} ${after.number} (${after.classes.length}). Compare versions of the same classes.`,
    );
  }
  const hasConditions = before.select.where !== undefined || after.select.where !== undefined;
  const older = classReader(store, before, hasConditions);
  const newer = classReader(store, after, hasConditions);
  const why = await ChangeReasons.between(store, before, after);
  const totals = { added: 0, removed: 0, moved: 0, kept: 0 };
  const classes: ClassDiff[] = [];
  for (const [old, young] of pairs) {
    const [had, has] = await Promise.all([older.read(old), newer.read(young)]);
    const [was, is] = [before.classes[old ?? -1], after.classes[young ?? -1]];
    const compared = comparedClass(before, after, { class: young, classBefore: old });
    const changes: Change[] = [];
    let kept = 0;
    const stays = new Uint8Array(had.count);
    for (const [place, placeBefore] of had.placesOf(has).entries()) {
      if (placeBefore >= 0) stays[placeBefore] = 1;
      const rankBefore = placeBefore < 0 ? null : had.rankAt(placeBefore);
      if (rankBefore === has.rankAt(place)) {
        kept++;
        continue;
      }
      const row = has.at(place);
      if (rankBefore === null) changes.push({ what: "entered", row, rankBefore, ...why.ofEntered(row, compared) });
      else changes.push({ what: "moved", row, rankBefore, ...why.ofMoved(row, rankBefore) });
    }
    for (const [place, isThere] of stays.entries()) {
      if (isThere === 1) continue;
      const row = had.at(place);
      changes.push({ what: "left", row, rankBefore: row.rank, ...why.ofLeft(row, compared) });
    }
    const reasons = {
      entered: countsOf(changes, "entered"),
      left: countsOf(changes, "left"),
      moved: countsOf(changes, "moved"),
    };
    const [added, removed, moved] = [reasons.entered, reasons.left, reasons.moved].map((counts) =>
      counts.reduce((sum, { count }) => sum + count, 0),
    ) as [number, number, number];
    const pair: ClassDiff = {
      class: young,
      classBefore: old,
      label: (is ?? was)!.label,
      labelBefore: (was ?? is)!.label,
      rowsBefore: had.count,
      rowsAfter: has.count,
      added,
      removed,
      moved,
      cutoffBefore: compared.cutoffBefore,
      cutoffAfter: compared.cutoffAfter,
      reasons,
    };
    classes.push(pair);
    onClass?.(pair, changes);
    totals.added += added;
    totals.removed += removed;
    totals.moved += moved;
    totals.kept += kept;
  }
  await Promise.all([older.close(), newer.close()]);
  return {
    before: { number: before.number, id: before.id },
    after: { number: after.number, id: after.id },
    same: before.id === after.id,
    parameters: changedParameters(before, after),
    classes,
    totals,
  };
}

/** What of a class in both versions tells why its rows changed. */
export function comparedClass(
  before: Manifest,
  after: Manifest,
  { class: young, classBefore: old }: Pick<ClassDiff, "class" | "classBefore">,
): ComparedClass {
  const [was, is] = [before.classes[old ?? -1], after.classes[young ?? -1]];
  return {
    class: young,
    classBefore: old,
    cutoffBefore: was?.worst ?? null,
    cutoffAfter: is?.worst ?? null,
    kBefore: was?.k ?? null,
    kAfter: is?.k ?? null,
  };
}

function countsOf(changes: readonly Change[], wanted: Change["what"]): ReasonCounts {
  const counts = new Map<DiffReason, number>();
  for (const { what, reason } of changes) if (what === wanted) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count);
}

/** Numbers of the classes that are the same: of the earlier and of the later version, null where one lacks it. In the later one's order. */
export function pairedClasses(before: Manifest, after: Manifest): (readonly [number | null, number | null])[] {
  const [old, young] = [versionLabels(before), versionLabels(after)];
  const counterpart = sameOutputs(before, after) ? young.map((_, index) => index) : byName(old, young);
  const taken = new Set(counterpart);
  return [
    ...counterpart.map((index, at) => [index, at] as const),
    ...old.flatMap((_, index) => (taken.has(index) ? [] : [[index, null] as const])),
  ];
}

/** Whether the classes of both stand for the same outputs of one teacher, number by number. */
function sameOutputs(before: Manifest, after: Manifest): boolean {
  if (before.teacher.digest !== after.teacher.digest) return false;
  const membersOf = ({ select, teacher }: Manifest): Json =>
    selectedClasses(select, teacher).members.map((members) => [...members]);
  return canonicalJson(membersOf(before)) === canonicalJson(membersOf(after));
}

/** The earlier class of each later one: of those that share a name the first is the first's, and so on. */
function byName(old: readonly string[], young: readonly string[]): (number | null)[] {
  const free = new Map<string, number[]>();
  for (const [index, label] of old.entries()) free.set(label, [...(free.get(label) ?? []), index]);
  return young.map((label) => free.get(label)?.shift() ?? null);
}

function classReader(store: Store, manifest: Manifest, withConditions: boolean): ClassReader<Compared, ChangedImage> {
  const groups: AsyncGenerator<Compared> = withConditions
    ? readSomeColumns(store, manifest, [...COMPARED, ...CONDITION_COLUMNS])
    : readSomeColumns(store, manifest, COMPARED);
  return new ClassReader(groups, imageAt);
}

function imageAt(columns: Compared, row: number): ChangedImage {
  return {
    sha256: columns.sha256[row]!,
    rank: columns.rank[row]!,
    probability: columns.probability[row] ?? null,
    partition: columns.partition[row]!,
    offset: Number(columns.offset[row]!),
    ...(hasConditions(columns) ? { facts: conditionColumns(columns, row) } : {}),
  };
}

function hasConditions(columns: Compared): columns is Compared & ConditionFacts {
  return columns.licence !== undefined;
}

function changedParameters(before: Manifest, after: Manifest): VersionDiff["parameters"] {
  const parameters = (manifest: Manifest): Record<string, Json> => ({
    ...(manifest.select as Record<string, Json>),
    span: manifest.span,
    ...(manifest.guard === undefined ? {} : { guard: manifest.guard.sets.map(({ name }) => name) }),
    teacher: manifest.teacher.digest,
    temperature: manifest.select.temperature ?? manifest.teacher.temperature,
  });
  // Of one teacher, what is the same by number is the same, whatever the classes are called.
  const numbered = ({ select, teacher }: Manifest): Record<string, Json> =>
    before.teacher.digest === after.teacher.digest ? (numberedSelection(select, teacher) as Record<string, Json>) : {};
  const [oldNumbers, youngNumbers] = [numbered(before), numbered(after)];
  const isSame = (name: string): boolean =>
    oldNumbers[name] !== undefined && canonicalJson(oldNumbers[name]) === canonicalJson(youngNumbers[name] ?? null);
  const old = parameters(before);
  const young = parameters(after);
  return [...new Set([...Object.keys(old), ...Object.keys(young)])]
    .map((name) => ({ name, before: canonicalJson(old[name] ?? null), after: canonicalJson(young[name] ?? null) }))
    .filter(({ name, before: had, after: has }) => had !== has && !isSame(name));
}
