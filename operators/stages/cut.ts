import type { Store } from "../../connectors/store/store.js";
import { DatasetState } from "../pure/dataset-state.js";
import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import type { Dataset } from "../../schemas/dataset.js";
import type { SluiceError } from "../../schemas/errors.js";
import { sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { chainEnd, followSegments, liveChain } from "./chain.js";
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
  readonly onGap?: (gap: { chain: ChainName; start: number; end: number; error: SluiceError }) => void;
  readonly onSegment?: (segments: number) => void;
  readonly onCorruptCheckpoint?: (key: string, error: SluiceError) => void;
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
  const state = await restoreAtOrBelow(store, stateOptions, frontier, options.onCorruptCheckpoint);
  let segments = 0;
  for (const end of frontier) {
    const chain: ChainName = { teacher, stream, ...end };
    const skip =
      onGap === undefined
        ? undefined
        : (gap: { start: number; end: number; error: SluiceError }) => {
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

/** Where every live chain of (teacher, stream) ends now, in the order of the partitions. */
export async function currentFrontier(
  store: Store,
  place: { teacher: string; stream: string; partitions: number },
  known: Frontier = [],
): Promise<Frontier> {
  const { teacher, stream, partitions } = place;
  const ends = await Promise.all(
    Array.from({ length: partitions }, async (_, partition): Promise<ChainEnd> => {
      const chain = await liveChain(store, { teacher, stream, partition }, () => Promise.resolve(0));
      const from = known.find((at) => at.partition === partition && at.origin === chain.origin)?.end ?? chain.origin;
      return { partition, origin: chain.origin, end: await chainEnd(store, chain, from) };
    }),
  );
  return sortFrontier(ends);
}
