import type { Store } from "../connectors/store/store.js";
import { canonicalJson, type Json } from "../schemas/canonical.js";
import { SluiceError } from "../schemas/errors.js";
import { versionLabels, type Manifest } from "../schemas/manifest.js";
import { readIndexColumns, type IndexColumns } from "./index-reader.js";

export interface ClassDiff {
  readonly class: number;
  readonly label: string;
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
 * Compares two versions class by class, reading both indexes once; memory holds one class of each. Throws E_USAGE
 * where their classes are not the same, and what reading an index throws.
 */
export async function diffVersions(store: Store, before: Manifest, after: Manifest): Promise<VersionDiff> {
  const labels = versionLabels(before);
  if (canonicalJson(labels) !== canonicalJson(versionLabels(after))) {
    throw new SluiceError(
      "E_USAGE",
      `Expected two versions with the same classes, found ${before.dataset} ${before.number} with ${labels.length} labels and ` +
        `${after.dataset} ${after.number} with ${after.classes.length}, not all equal. Compare versions of the same classes.`,
    );
  }
  const older = classReader(store, before);
  const newer = classReader(store, after);
  const totals = { added: 0, removed: 0, moved: 0, kept: 0 };
  const classes: ClassDiff[] = [];
  for (const [index, label] of labels.entries()) {
    const had = await older.read(index);
    const has = await newer.read(index);
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
    classes.push({
      class: index,
      label,
      rowsBefore: had.size,
      rowsAfter: has.size,
      added,
      removed,
      moved,
      cutoffBefore: before.classes[index]?.worst ?? null,
      cutoffAfter: after.classes[index]?.worst ?? null,
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

/** Reads an index forwards, class by class: rank by digest. */
function classReader(store: Store, manifest: Manifest) {
  const groups = readIndexColumns(store, manifest);
  let columns: IndexColumns | null = null;
  let row = 0;
  return {
    async read(classIndex: number): Promise<Map<string, number>> {
      const ranks = new Map<string, number>();
      for (;;) {
        if (columns !== null) {
          for (; row < columns.count && columns.class[row]! <= classIndex; row++) {
            ranks.set(columns.sha256[row]!, columns.rank[row]!);
          }
          if (row < columns.count) return ranks;
        }
        const next = await groups.next();
        if (next.done === true) return ranks;
        columns = next.value;
        row = 0;
      }
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
  const old = parameters(before);
  const young = parameters(after);
  return [...new Set([...Object.keys(old), ...Object.keys(young)])]
    .map((name) => ({ name, before: canonicalJson(old[name] ?? null), after: canonicalJson(young[name] ?? null) }))
    .filter(({ before: had, after: has }) => had !== has);
}
