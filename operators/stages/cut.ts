import type { Store } from "../../connectors/store/store.js";
import { DatasetState } from "../pure/dataset-state.js";
import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import type { Dataset } from "../../schemas/dataset.js";
import { sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { followSegments, followToEnd, liveChains, type Gap } from "./chain.js";
import { restoreAtOrBelow } from "./checkpoint.js";
import { chosenRows } from "./chosen-rows.js";

export interface CutOptions {
  readonly store: Store;
  readonly dataset: Dataset;
  readonly card: ModelCard;
  readonly stream: string;
  /** Up to where; see `currentFrontier` */
  readonly frontier: Frontier;
  readonly trigger: string;
  /** Leave out ranges whose segments are missing or corrupt; the version is marked incomplete */
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
  const teacher = teacherDigest(card);
  const stateOptions = { dataset, teacher, stream, classCount: card.labels.length };
  let incomplete = false;
  // A state that once skipped a gap is no checkpoint for a cut that was not allowed to: such states are never written.
  const state = await restoreAtOrBelow(store, stateOptions, frontier, options.onWarning);
  let segments = 0;
  for (const end of frontier) {
    const chain: ChainName = { teacher, stream, ...end };
    const skip =
      onGap === undefined
        ? undefined
        : (gap: Gap) => {
            incomplete = true;
            state.skip({ partition: chain.partition, origin: chain.origin, end: gap.end });
            onGap({ chain, ...gap });
          };
    for await (const segment of followSegments(store, chain, state.endIn(chain), end.end, skip)) {
      state.apply(segment);
      onSegment?.(++segments);
    }
  }
  return {
    dataset,
    teacher: { digest: teacher, name: card.name, labels: card.labels, temperature: card.temperature },
    stream,
    frontier,
    engines: state.engines,
    records: state.records,
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
  state: DatasetState,
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
 * are passed over.
 */
export async function currentFrontier(
  store: Store,
  place: { teacher: string; stream: string },
  onGap?: CutOptions["onGap"],
): Promise<Frontier> {
  const ends: ChainEnd[] = [];
  for (const chain of await liveChains(store, place)) {
    const report =
      onGap === undefined
        ? undefined
        : (gap: Gap): void => {
            onGap({ chain, ...gap });
          };
    const end = await followToEnd(store, chain, chain.origin, () => undefined, report);
    ends.push({ partition: chain.partition, origin: chain.origin, end });
  }
  return sortFrontier(ends);
}
