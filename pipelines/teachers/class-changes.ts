import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { without, type OffsetRange } from "../../operators/archive/offset-ranges.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { namesBeside, type ClassNames } from "../../schemas/class-names.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import type { Frontier } from "../../schemas/frontier.js";
import { readDeclarations } from "../open/declare.js";
import { listVersions } from "../versions/versions.js";

type PartitionRange = OffsetRange & { readonly partition: number };
type Named = Pick<DeclaredTeacher, "digest" | "name">;

/** What a teacher with other classes leaves without a score of these. */
export interface ClassChanges {
  readonly before: Named;
  readonly teacher: Named;
  /** Classes that only this teacher has, and those that only the one before has */
  readonly added: readonly string[];
  readonly dropped: readonly string[];
  /** Records that the one before has archived, and this one has not */
  readonly unscored: readonly PartitionRange[];
  /** Of these, records that the log has no more; null where no log answers */
  readonly lost: readonly PartitionRange[] | null;
  /** Whether this one has scored records of the stream already */
  readonly hasBegun: boolean;
  /** Declared datasets with versions by the one before: how many, and where each stands for a window, when these begin */
  readonly datasets: readonly {
    readonly dataset: string;
    readonly versions: number;
    readonly windowsMs: readonly number[];
  }[];
}

export interface ClassChangesOptions {
  readonly store: Store;
  readonly stream: string;
  /** The teacher that stands */
  readonly before: Named | null;
  readonly teacher: Named & Pick<ClassNames, "labels">;
  /** null: there is none that answers */
  readonly log: Pick<Log, "ends"> | null;
}

/**
 * What has to be scored again where a teacher with more classes takes another one's place. null where it has no class that the one before lacks, or that one has
 * scored nothing. Throws what reading the archive throws.
 */
export async function classChanges(options: ClassChangesOptions): Promise<ClassChanges | null> {
  const { store, stream, before, teacher, log } = options;
  if (before === null || before.digest === teacher.digest) return null;
  const cards = await readCards(store);
  const known = cards.get(before.digest);
  if (known === undefined) return null;
  const added = namesBeside(teacher.labels, known.labels);
  if (added.length === 0) return null;
  const scored = await currentFrontier(store, { teacher: before.digest, stream });
  if (scored.length === 0) return null;
  const own = cards.has(teacher.digest) ? await currentFrontier(store, { teacher: teacher.digest, stream }) : [];
  const unscored = scored.flatMap(({ partition, origin, end }) =>
    without({ start: origin, end }, rangesOf(own, partition)).map((range) => ({ partition, ...range })),
  );
  const ends = log === null ? null : await log.ends(stream);
  return {
    before: { digest: before.digest, name: before.name },
    teacher: { digest: teacher.digest, name: teacher.name },
    added,
    dropped: namesBeside(known.labels, teacher.labels),
    unscored,
    hasBegun: own.length > 0,
    lost: ends && unscored.flatMap((range) => below(range, ends[range.partition]?.start ?? 0)),
    datasets: await versionsBy(store, stream, before.digest),
  };
}

function rangesOf(frontier: Frontier, partition: number): OffsetRange[] {
  return frontier.filter((one) => one.partition === partition).map(({ origin, end }) => ({ start: origin, end }));
}

function below({ partition, start, end }: PartitionRange, offset: number): PartitionRange[] {
  return start < offset ? [{ partition, start, end: Math.min(end, offset) }] : [];
}

async function versionsBy(store: Store, stream: string, teacher: string): Promise<ClassChanges["datasets"]> {
  const datasets: ClassChanges["datasets"][number][] = [];
  const { datasets: declared } = await readDeclarations(store, stream);
  for (const { name: dataset } of declared) {
    const windows = new Set<number>();
    let versions = 0;
    for await (const { teacher: by, provenance, span } of listVersions(store, dataset)) {
      if (by.digest !== teacher || provenance.stream !== stream) continue;
      versions++;
      if (span.startMs !== null && span.endMs !== null) windows.add(span.startMs);
    }
    if (versions > 0) datasets.push({ dataset, versions, windowsMs: [...windows].sort((a, b) => a - b) });
  }
  return datasets;
}
