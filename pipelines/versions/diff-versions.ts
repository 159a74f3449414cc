import type { Store } from "../../connectors/store/store.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { numberedSelection } from "../../operators/select/numbered-selection.js";
import { canonicalJson, type Json } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { versionLabels, type Manifest } from "../../schemas/manifest.js";
import { readIndexColumns, type IndexColumns } from "./index-reader.js";

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
 * Compares two versions class by class, reading both indexes once; memory holds one class of each, and of classes that stand in
 * another order those that have been passed. Classes are the same that are the same outputs of the same teacher, whatever they are called; else those
 * of the same name. Throws what reading an index throws, and E_USAGE for versions without a class in common.
 */
export async function diffVersions(store: Store, before: Manifest, after: Manifest): Promise<VersionDiff> {
  const pairs = pairedClasses(before, after);
  if (!pairs.some(([old, young]) => old !== null && young !== null)) {
    throw new SluiceError(
      "E_USAGE",
      `Expected two versions with classes in common, found none of the same name in ${before.dataset} ${before.number} (${before.classes.length} classes) and ` +
        `${after.dataset} ${after.number} (${after.classes.length}). Compare versions of the same classes.`,
    );
  }
  const older = classReader(store, before);
  const newer = classReader(store, after);
  const totals = { added: 0, removed: 0, moved: 0, kept: 0 };
  const classes: ClassDiff[] = [];
  for (const [old, young] of pairs) {
    const had = await older.read(old);
    const has = await newer.read(young);
    let added = 0;
    let moved = 0;
    let kept = 0;
    for (const [sha256, rank] of has) {
      const earlier = had.get(sha256);
      if (earlier === undefined) added++;
      else if (earlier === rank) kept++;
      else moved++;
    }
    const removed = had.size - moved - kept;
    const [was, is] = [before.classes[old ?? -1], after.classes[young ?? -1]];
    classes.push({
      class: young,
      classBefore: old,
      label: (is ?? was)!.label,
      labelBefore: (was ?? is)!.label,
      rowsBefore: had.size,
      rowsAfter: has.size,
      added,
      removed,
      moved,
      cutoffBefore: was?.worst ?? null,
      cutoffAfter: is?.worst ?? null,
    });
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

/** Numbers of the classes that are the same: of the earlier and of the later version, null where one lacks it. In the later one's order. */
function pairedClasses(before: Manifest, after: Manifest): (readonly [number | null, number | null])[] {
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

/** Reads an index forwards; what is passed on the way to a class is held until it is asked for. */
function classReader(store: Store, manifest: Manifest) {
  const groups = readIndexColumns(store, manifest);
  const held = new Map<number, Map<string, number>>();
  let columns: IndexColumns | null = null;
  let row = 0;
  const readUpTo = async (last: number): Promise<void> => {
    for (;;) {
      for (; columns !== null && row < columns.count; row++) {
        const index = columns.class[row]!;
        if (index > last) return;
        const ranks = held.get(index) ?? new Map<string, number>();
        held.set(index, ranks);
        ranks.set(columns.sha256[row]!, columns.rank[row]!);
      }
      const group = await groups.next();
      if (group.done === true) return;
      columns = group.value;
      row = 0;
    }
  };
  return {
    /** Rank by digest; none for null. */
    async read(classIndex: number | null): Promise<Map<string, number>> {
      if (classIndex === null) return new Map();
      await readUpTo(classIndex);
      const ranks = held.get(classIndex) ?? new Map<string, number>();
      held.delete(classIndex);
      return ranks;
    },
    close: () => groups.return(undefined),
  };
}

function changedParameters(before: Manifest, after: Manifest): VersionDiff["parameters"] {
  const parameters = (manifest: Manifest): Record<string, Json> => ({
    ...(manifest.select as Record<string, Json>),
    span: manifest.span,
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
