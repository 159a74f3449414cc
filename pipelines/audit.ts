import { createHash } from "node:crypto";
import type { Store } from "../connectors/store/store.js";
import type { Manifest } from "../schemas/manifest.js";
import type { IndexRow } from "../schemas/index-row.js";
import { drawn, wilson } from "./console/review/review-queue.js";
import { saidOf } from "./console/review/said-labels.js";
import { IndexGroups } from "./versions/index-groups.js";
import { MeantClasses } from "./versions/meant-classes.js";

/** Of rows that people judged: the share that is right, and its 95 % interval (Wilson). */
export type Precision = ReturnType<typeof wilson>;

export interface AuditOptions {
  /** Rows drawn evenly from the whole version */
  readonly rows: number;
  /** In place of that, rows drawn from each class */
  readonly perClass: number | null;
  /** Another sample for another seed; the same one each time for the same */
  readonly seed: number;
}

export interface AuditedClass {
  readonly class: number;
  readonly label: string;
  /** Rows in the sample */
  readonly drawn: number;
  /** null where nobody has judged any */
  readonly precision: Precision | null;
}

export interface AuditedRow {
  readonly sha256: string;
  readonly uri: string;
  readonly class: string;
  /** What a label names that class by: two classes may be called the same, or otherwise by now */
  readonly named: string;
  readonly rank: number;
  readonly probability: number | null;
  /** Whether people said that it is of the class; null where they said nothing that tells */
  readonly right: boolean | null;
}

export interface Audited {
  readonly dataset: string;
  readonly number: number;
  readonly id: string;
  readonly seed: number;
  /** Over the whole sample; null for one that is drawn class by class, where rows count unevenly, or while nobody has judged any */
  readonly precision: Precision | null;
  readonly classes: readonly AuditedClass[];
  readonly rows: readonly AuditedRow[];
}

/** Draws a version's audit sample and says how right it is, as far as people have judged its rows. */
export async function auditVersion(store: Store, manifest: Manifest, options: AuditOptions): Promise<Audited> {
  const { rows: most, perClass, seed } = options;
  const groups = new IndexGroups(store);
  const said = await saidOf(store, manifest.provenance.stream);
  const meant = await MeantClasses.of(store, manifest);
  const places = perClass === null ? drawn(manifest, most, seed) : drawnByClass(manifest, perClass, seed);
  const sample: IndexRow[] = [];
  for (const { class: index, place } of places)
    sample.push(...(await groups.rowsOf(manifest, index, place, place + 1)));
  const rows = sample.map(({ sha256, uri, class: index, label, rank, probability }) => ({
    sha256,
    uri,
    class: label,
    named: meant.nameOf(index),
    rank,
    probability,
    right: meant.isRight(said.get(sha256), index),
  }));
  const classes = new Map<number, boolean[]>();
  const counts = new Map<number, number>();
  for (const [at, { class: index }] of sample.entries()) {
    counts.set(index, (counts.get(index) ?? 0) + 1);
    const { right } = rows[at]!;
    if (right !== null) classes.set(index, [...(classes.get(index) ?? []), right]);
  }
  return {
    dataset: manifest.dataset,
    number: manifest.number,
    id: manifest.id,
    seed,
    precision: perClass === null ? precisionOf([...classes.values()].flat()) : null,
    classes: [...counts]
      .sort(([a], [b]) => a - b)
      .map(([index, count]) => ({
        class: index,
        label: manifest.classes[index]!.label,
        drawn: count,
        precision: precisionOf(classes.get(index) ?? []),
      })),
    rows,
  };
}

function precisionOf(verdicts: readonly boolean[]): Precision | null {
  return verdicts.length === 0 ? null : wilson(verdicts.filter(Boolean).length, verdicts.length);
}

/** Places of each class, without repeats, by the version's id and the seed. */
function drawnByClass({ id, classes }: Manifest, most: number, seed: number): { class: number; place: number }[] {
  return classes.flatMap(({ class: index, count, repeated, labelled = 0 }) => {
    // What people placed tells nothing of how right the teacher is.
    const distinct = count - repeated - labelled;
    const places = new Set<number>();
    for (let turn = 0; places.size < Math.min(most, distinct); turn++) {
      const hash = createHash("sha256").update(`${id} ${seed} class ${index} ${turn}`).digest();
      places.add(labelled + (hash.readUIntBE(0, 6) % distinct));
    }
    return [...places].sort((a, b) => a - b).map((place) => ({ class: index, place }));
  });
}

/** The sample as a CSV that people fill in: `sluice label import` takes it, rows without a verdict left out. */
export function auditCsv({ rows }: Pick<Audited, "rows">): string {
  const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const lines = rows
    .filter(({ right }) => right === null)
    .map(({ sha256, uri, named }) => [sha256, cell(named), "", cell(uri)].join(","));
  return ["sha256,class,verdict,uri", ...lines].join("\n") + "\n";
}
