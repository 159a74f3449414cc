import type { Store } from "../../connectors/store/store.js";
import { SpanState } from "../pure/dataset-state.js";
import { paneSpan } from "../pure/windows.js";
import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import { sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { followSegments, followToEnd, liveChains, repeatedSegments, type Gap } from "./chain.js";
import { restoreSpan } from "./checkpoint.js";
import { chosenRows } from "./chosen-rows.js";

export interface CutOptions {
  readonly store: Store;
  readonly dataset: Dataset;
  readonly card: ModelCard;
  readonly stream: string;
  /** Up to where; see `currentFrontier` */
  readonly frontier: Frontier;
  /** Event times to choose from; all of a global window's where left out */
  readonly span?: Span;
  readonly trigger: string;
  /** false: read every archived segment, as if no checkpoint had ever been written. Default true. */
  readonly checkpoints?: boolean;
  /**
   * Leave out ranges whose segments are missing or corrupt; the version is marked incomplete. No checkpoint is used: it may
   * have rows of them.
   */
  readonly onGap?: ((gap: Gap & { readonly chain: ChainName }) => void) | undefined;
  readonly onSegment?: (segments: number) => void;
  readonly onWarning?: (message: string) => void;
}

/**
 * The one cut: the newest checkpoint at or below the frontier, then the archived segments up to it, then the K best of
 * each class with their rows read back from the archive. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT.
 */
export async function cut(options: CutOptions): Promise<Cut> {
  const { store, dataset, card, stream, frontier, onGap, onSegment } = options;
  const span = options.span ?? paneSpan(dataset.window, 0);
  const teacher = teacherDigest(card);
  const stateOptions = { dataset, teacher, stream, classCount: card.labels.length };
  let incomplete = false;
  const state =
    options.checkpoints === false || onGap !== undefined
      ? new SpanState(stateOptions, span)
      : await restoreSpan(store, stateOptions, span, frontier, options.onWarning);
  const { coverage } = state;
  let segments = 0;
  for (const end of frontier) {
    const chain: ChainName = { teacher, stream, ...end };
    const skip =
      onGap === undefined
        ? undefined
        : (gap: Gap) => {
            incomplete = true;
            coverage.skip({ partition: chain.partition, origin: chain.origin, end: gap.end });
            onGap({ chain, ...gap });
          };
    for await (const segment of followSegments(store, chain, coverage.endIn(chain), end.end, skip)) {
      state.apply(segment);
      onSegment?.(++segments);
    }
  }
  return {
    dataset,
    teacher: { digest: teacher, name: card.name, labels: card.labels, temperature: card.temperature },
    stream,
    frontier,
    span,
    engines: coverage.value.engines,
    records: coverage.value.records,
    incomplete,
    trigger: options.trigger,
    classes: classesOf(store, { teacher, stream, frontier }, state, dataset, card.labels.length),
  };
}

/** Rows whose details are read back at a time: bounds memory, and how often a segment is read. */
const GROUP_ROWS = 500_000;

async function* classesOf(
  store: Store,
  archive: { teacher: string; stream: string; frontier: Frontier },
  state: SpanState,
  dataset: Dataset,
  classCount: number,
): AsyncGenerator<ChosenRows, void, undefined> {
  const counts = state.topk.counts();
  for (let first = 0; first < classCount;) {
    let last = first;
    for (let rows = 0; last < classCount; last++) {
      rows += Math.min(counts[last]!, dataset.select.k);
      if (rows > GROUP_ROWS && last > first) break;
    }
    const group = Array.from({ length: last - first }, (_, index) => ({
      class: first + index,
      rows: state.topk.rows(first + index, dataset.select.k),
    }));
    yield* await chosenRows(store, archive, group);
    first = last;
  }
}

/**
 * Where the live chains of (teacher, stream) end now. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT; with `onGap` those ranges
 * are passed over. `onWarning` hears of repeated segments.
 */
export async function currentFrontier(
  store: Store,
  place: { teacher: string; stream: string },
  { onGap, onWarning }: Pick<CutOptions, "onGap" | "onWarning"> = {},
): Promise<Frontier> {
  const ends: ChainEnd[] = [];
  for (const chain of await liveChains(store, place)) {
    const report =
      onGap === undefined
        ? undefined
        : (gap: Gap): void => {
            onGap({ chain, ...gap });
          };
    const followed: { start: number; end: number }[] = [];
    const end = await followToEnd(
      store,
      chain,
      chain.origin,
      (header) => {
        followed.push({ start: header.start, end: header.end });
      },
      report,
    );
    if (onWarning !== undefined) {
      for await (const { message } of repeatedSegments(store, chain, followed)) onWarning(message);
    }
    ends.push({ partition: chain.partition, origin: chain.origin, end });
  }
  return sortFrontier(ends);
}
