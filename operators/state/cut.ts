import type { Store } from "../../connectors/store/store.js";
import { SpanState } from "../topk/dataset-state.js";
import { selectedClasses } from "../select/class-map.js";
import { presentSelection } from "../select/numbered-selection.js";
import { GuardedImages } from "../select/guarded-images.js";
import { ranking } from "../select/ranking.js";
import { estimateTopkBytes } from "../topk/topk-size.js";
import { paneSpan } from "../select/windows.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { reserveOf, type Dataset, type Selection, type Span } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { LabelFrontier } from "../../schemas/image-label.js";
import type { ChainName } from "../../schemas/keys.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { ArchiveReader, type ChainGap } from "../archive/archive-reader.js";
import type { Gap } from "../archive/chain-reader.js";
import { lostBelow } from "../archive/lost-ranges.js";
import { restoreSpan } from "./checkpoint.js";
import { chooseRows, type LeaveOut } from "../version/choose-rows.js";
import type { RowPlaces } from "../version/archived-rows.js";
import { rowsOfClasses } from "../version/rows-of-classes.js";
import { readGuard, type StandingGuard } from "../version/guard-sets.js";
import { otherScores, type HeededScores, type OtherScores } from "../version/other-scores.js";
import { rowHashes } from "../version/row-hashes.js";
import type { LabelledImages, Placement } from "../select/retractions.js";
import { placedImages } from "../version/placed-images.js";
import { labelFrontier, labelledImages } from "../archive/image-labels.js";

export interface CutOptions {
  readonly store: Store;
  readonly dataset: Dataset;
  readonly card: ModelCard & ClassNames;
  readonly stream: string;
  /** Up to where; see `currentFrontier` */
  readonly frontier: Frontier;
  /** Up to where people's labels count; by default all that are archived now */
  readonly labels?: LabelFrontier | undefined;
  /** Of the row of objects that says which sets are guarded, how many are heeded; by default all */
  readonly guard?: number | undefined;
  /** Up to where other teachers' scores count, where the selection asks for them; by default all that are archived now */
  readonly scores?: readonly HeededScores[] | undefined;
  /** Event times to choose from; all of a global window's where left out */
  readonly span?: Span;
  readonly trigger: string;
  /** false: read every archived segment, as if no checkpoint had ever been written. Default true. */
  readonly checkpoints?: boolean;
  /**
   * Leave out ranges whose segments are missing or corrupt; the version is marked incomplete. No checkpoint is used: it may
   * have rows of them.
   */
  readonly onGap?: ((gap: ChainGap) => void) | undefined;
  /** What a state may take that is deeper than the dataset's own; by default there is no limit */
  readonly maxStateBytes?: number | undefined;
  readonly onSegment?: (segments: number) => void;
  readonly onWarning?: (message: string) => void;
}

/**
 * The one cut: the newest checkpoint at or below the frontier, then the archived segments up to it, then the K best of
 * each class with their rows read back from the archive. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT, E_SELECTION (also for
 * what the archive has too little to tell).
 */
export async function cut(options: CutOptions): Promise<Cut> {
  const { store, card, stream, frontier, onGap, onSegment } = options;
  // What a version says of itself needs no names that its classes had before.
  const dataset = { ...options.dataset, select: presentSelection(options.dataset.select, card) };
  const span = options.span ?? paneSpan(dataset.window, 0);
  const teacher = teacherDigest(card);
  const stateOptions = { dataset, teacher, stream, card };
  const archive = new ArchiveReader(store, { teacher, stream });
  const ranked = ranking(dataset.select, card);
  const labelled = options.labels ?? (await labelFrontier(store, stream));
  const images = await labelledImages(store, stream, labelled);
  const retractions = images.retractions(selectedClasses(dataset.select, card), card);
  let incomplete = false;
  const state =
    options.checkpoints === false || onGap !== undefined
      ? new SpanState(stateOptions, span)
      : await restoreSpan(store, stateOptions, span, frontier, options.onWarning, await archive.lostRanges());
  let segments = 0;
  const takeIn = async (into: SpanState, report: CutOptions["onGap"]): Promise<void> => {
    const { coverage } = into;
    for (const end of frontier) {
      const chain: ChainName = { teacher, stream, ...end };
      const skip =
        report === undefined
          ? undefined
          : (gap: Gap) => {
              incomplete = true;
              coverage.skip({ partition: chain.partition, origin: chain.origin, end: gap.end });
              report({ chain, ...gap });
            };
      for await (const segment of archive.segments(chain, coverage.endIn(chain), end.end, skip)) {
        into.apply(segment);
        onSegment?.(++segments);
      }
    }
  };
  await takeIn(state, onGap);
  const { coverage } = state;
  const k = state.quota;
  const guard = await readGuard(store, options.guard);
  const others = await otherScores(store, stream, dataset.select.where, options.scores);
  const read = { deeper: 0 };
  const deeper = async (depth: Int32Array): Promise<SpanState> => {
    read.deeper++;
    assertDepth(dataset, depth, options.maxStateBytes);
    const state = new SpanState(stateOptions, span, undefined, depth);
    // Gaps have been reported by the first reading.
    await takeIn(state, onGap === undefined ? undefined : () => undefined);
    return state;
  };
  return {
    dataset,
    teacher: { digest: teacher, name: card.name, labels: card.labels, temperature: card.temperature },
    labels: ranked.labels,
    quota: k,
    stream,
    frontier,
    labelFrontier: labelled,
    span,
    engines: coverage.value.engines,
    lost: lostBelow(await archive.lostRanges(), frontier),
    records: coverage.records,
    incomplete,
    guard: guard.by,
    scores: others?.heeded ?? [],
    read,
    trigger: options.trigger,
    classes: rowsOfClasses({ archive, frontier, ranking: ranked, stream }, async () =>
      chooseRows(state, {
        policy: dataset.select,
        k,
        retractions,
        placed: await placedImages(
          { archive, frontier, stream },
          { span, ranking: ranked, onGap: onGap === undefined ? undefined : () => undefined },
          placementsOf(dataset, images, card),
        ),
        deeper,
        leaveOut: leaveOutOf(dataset.select, guard, { archive, frontier, stream }, others),
      }),
    ),
  };
}

/** The images that a dataset's versions are to have because people said so. */
export function placementsOf(
  { select, labels }: Pick<Dataset, "select" | "labels">,
  images: LabelledImages,
  card: ModelCard & ClassNames,
): Placement[] {
  return labels === "retract" ? [] : images.placements(selectedClasses(select, card), card);
}

/** What a selection and the guarded sets leave out; null where neither leaves out anything. */
export function leaveOutOf(
  { near }: Pick<Selection, "near">,
  guard: Pick<StandingGuard, "by" | "sets">,
  places: RowPlaces,
  others: OtherScores | null,
): LeaveOut | null {
  if (near === undefined && guard.by === null && others === null) return null;
  return {
    meeting: others?.meeting ?? null,
    near: near ?? null,
    guard: guard.by === null ? null : new GuardedImages(guard.sets),
    hashes: (lists) => rowHashes(places, lists),
  };
}

function assertDepth(dataset: Dataset, depth: Int32Array, mostBytes = Number.POSITIVE_INFINITY): void {
  const stateBytes = estimateTopkBytes({ classes: depth.length, k: depth, reserve: reserveOf(dataset) });
  if (stateBytes <= mostBytes) return;
  throw new SluiceError(
    "E_MEMORY",
    `Expected a state of at most ${mostBytes} bytes to choose among the classes of "${dataset.name}", found that ${stateBytes} bytes are ` +
      "needed: too many images rank in several classes. Choose a smaller k or p, or a floor.",
    { stateBytes, memoryBytes: mostBytes },
  );
}
