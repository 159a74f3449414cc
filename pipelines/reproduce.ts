import type { Store } from "../connectors/store/store.js";
import { cut } from "../operators/state/cut.js";
import { readManifest, redactionsOf } from "../operators/version/manifests.js";
import { retirementOf } from "../operators/version/retirements.js";
import { versionId } from "../operators/version/publish.js";
import { cardNamed } from "../operators/archive/teacher-registry.js";
import { throwIfStopped } from "../operators/archive/throw-if-stopped.js";
import type { Cut } from "../schemas/chosen-rows.js";
import { datasetSchema, type Dataset } from "../schemas/dataset.js";
import type { Manifest } from "../schemas/manifest.js";
import type { ModelCard } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import { firstDifferences, type RowDifference } from "./versions/row-differences.js";
import { archivedTeacher } from "./rebuild.js";

export interface ReproduceOptions {
  readonly store: Store;
  readonly dataset: string;
  readonly version: number | "latest";
  /** Is given what is cut again before the archive is read; throws where it cannot fit */
  readonly onSelected?: (dataset: Dataset, card: ModelCard) => void;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface Reproduction {
  readonly manifest: Manifest;
  /** What the archive gives */
  readonly id: string;
  readonly same: boolean;
  /** The first rows that differ, in the order (class, rank); none where the ids are the same */
  readonly differences: readonly RowDifference[];
  /** Images that were erased from the version, of which the archive does not say any more what its conditions ask */
  readonly erased: number;
}

/** Rows that differ, at most: the first says where to look, the rest how much of it there is */
const DIFFERENCES = 10;

/**
 * Cuts a version again from the archive alone, checkpoints left aside, with all that its manifest says it is a function
 * of: frontier, span, selection, teacher, guarded sets. What an incomplete version left out is left out again.
 * Throws E_VERSION_MISSING, E_TEACHER_CARD, E_CHAIN_GAP, E_SEGMENT_CORRUPT.
 */
export async function reproduce(options: ReproduceOptions): Promise<Reproduction> {
  const { store } = options;
  const manifest = await readManifest(store, options.dataset, options.version, "all");
  const { card: current } = await archivedTeacher(store, manifest.teacher.digest);
  const card = cardNamed(current, manifest.teacher.labels);
  const id = await versionId(await cutAgain(options, manifest, card));
  const same = id === manifest.id;
  // Rows of a version that was let go are gone.
  const retired = same ? null : await retirementOf(store, manifest.dataset, manifest.number);
  const differences =
    same || retired !== null
      ? []
      : await firstDifferences(store, manifest, await cutAgain(options, manifest, card), DIFFERENCES);
  const { licence, origin } = manifest.select.where ?? {};
  const asksErased = licence !== undefined || origin !== undefined;
  const redactions = same || !asksErased ? [] : await redactionsOf(store, manifest.dataset, manifest.number);
  return { manifest, id, same, differences, erased: redactions.at(-1)?.erased.length ?? 0 };
}

async function cutAgain(options: ReproduceOptions, manifest: Manifest, card: ModelCard): Promise<Cut> {
  const { store, onProgress, signal } = options;
  const { provenance, select, span } = manifest;
  const dataset = datasetSchema.parse({ name: manifest.dataset, select, labels: manifest.labels });
  options.onSelected?.(dataset, card);
  return cut({
    store,
    dataset,
    card,
    stream: provenance.stream,
    frontier: provenance.frontier,
    labels: provenance.labels,
    guard: manifest.guard?.objects ?? 0,
    scores: manifest.provenance.scores,
    span,
    trigger: provenance.trigger,
    checkpoints: false,
    onGap: provenance.incomplete ? () => undefined : undefined,
    onSegment: (done) => {
      throwIfStopped(signal, "The reproduction was stopped on request; it changes nothing.");
      onProgress?.({ phase: "cut", done, total: null, kept: 0, scored: 0, copied: 0, quarantined: 0 });
    },
  });
}
