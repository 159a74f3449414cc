import { candidates, type Candidates } from "../../operators/topk/candidates.js";
import { greatestTime } from "../../operators/state/coverage.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { ranking, type Ranking } from "../../operators/select/ranking.js";
import { rowsByPane } from "../../operators/archive/select-rows.js";
import { paneSpan } from "../../operators/select/windows.js";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import type { Dataset } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { RankedCard } from "../../schemas/model-card.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";
import { shardOfClass } from "../../schemas/shard.js";
import type { CandidatesMessage, CandidatesPart, DatasetCandidates } from "../../schemas/wire/candidates.js";
import type { PaneThresholds } from "./threshold-board.js";

export interface SegmentCandidatesOptions {
  readonly datasets: readonly Dataset[];
  readonly teacher: string;
  readonly stream: string;
  readonly card: RankedCard;
  readonly shards: number;
  /** Of a pane, under the dataset's parameters; null: nothing is left out */
  readonly thresholdsOf: (parameters: string, pane: number) => PaneThresholds | null;
}

interface Entry {
  readonly dataset: Dataset;
  readonly parameters: string;
  readonly ranking: Ranking;
  /** Those of the pane that candidates are made of, [L] */
  readonly thresholds: Float64Array;
  readonly operator: Candidates;
}

/** A candidate's columns take so many bytes in a message. */
const ROW_BYTES = 36;
/** The chain's coordinates, the schema, and padding; each part's dataset comes on top. */
const HEAD_BYTES = 4096;

/**
 * What an archived segment gives each class shard. Nothing is left out but what lies below a dataset's floor, or strictly
 * below a threshold of the shard that is to have it.
 */
export class SegmentCandidates {
  readonly #shards: number;
  readonly #thresholdsOf: SegmentCandidatesOptions["thresholdsOf"];
  readonly #entries: readonly Entry[];

  constructor({ datasets, teacher, stream, card, shards, thresholdsOf }: SegmentCandidatesOptions) {
    this.#shards = shards;
    this.#thresholdsOf = thresholdsOf;
    this.#entries = datasets.map((dataset) => {
      const ranks = ranking(dataset.select, card);
      const { labels, floorKey } = ranks;
      const thresholds = new Float64Array(labels.length);
      return {
        dataset,
        parameters: parametersDigest(dataset, teacher, stream, card),
        ranking: ranks,
        thresholds,
        operator: candidates({ p: dataset.select.p, classes: labels.length, floorKey, thresholds }),
      };
    });
  }

  /** The greatest size that a message of a segment of so many records may come to, of panes that are few, bytes. */
  greatestBytes(records: number): number {
    return this.#entries.reduce((sum, { dataset, ranking: { labels } }) => {
      const classes = Math.min(dataset.select.p, Math.ceil(labels.length / this.#shards));
      return sum + records * classes * ROW_BYTES;
    }, HEAD_BYTES);
  }

  /** One message a class shard, by shard. */
  messagesOf({ header, batch }: Segment): CandidatesMessage[] {
    const { teacher, stream, partition, origin, start, end, counts, engine, watermarkMs } = header;
    const place = { teacher, stream, partition, origin, start, end, counts, engine, watermarkMs };
    const lastMs = greatestTime(batch.eventTimeMs);
    const shards = this.#shards;
    const byShard = Array.from({ length: shards }, (): DatasetCandidates[] => []);
    for (const entry of this.#entries) {
      const { dataset, parameters } = entry;
      const parts = byShard.map((): CandidatesPart[] => []);
      for (const [pane, rows] of rowsByPane(dataset.window, batch)) {
        const thresholds = this.#thresholdsOf(parameters, pane);
        const { startMs } = paneSpan(dataset.window, pane);
        for (const [shard, of] of this.#byShard(this.#candidatesOf(entry, rows, thresholds)).entries()) {
          parts[shard]!.push({ paneMs: startMs, thresholdsAt: thresholds?.at[shard] ?? null, batch: of });
        }
      }
      byShard.forEach((datasets, shard) => datasets.push({ dataset: dataset.name, parameters, parts: parts[shard]! }));
    }
    return byShard.map((datasets, shard) => ({ ...place, lastMs, shard, shards, datasets }));
  }

  #candidatesOf(entry: Entry, rows: ScoredBatch, pruning: PaneThresholds | null): CandidateBatch[] {
    const { ranking: ranks, operator, thresholds } = entry;
    if (pruning === null) thresholds.fill(Number.NEGATIVE_INFINITY);
    else thresholds.set(pruning.keys);
    const made: CandidateBatch[] = [];
    operator.onBatch(ranks.rank(rows), {
      // The operator uses its columns again.
      emit: (batch) => made.push(copyOf(batch)),
      reject: (_rows, code, reason) => {
        throw new SluiceError(code, `An archived row cannot be ranked: ${reason}`);
      },
    });
    return made;
  }

  #byShard(made: readonly CandidateBatch[]): CandidateBatch[] {
    const rows = Array.from({ length: this.#shards }, (): [CandidateBatch, number][] => []);
    for (const batch of made) {
      for (let row = 0; row < batch.count; row++)
        rows[shardOfClass(batch.classes[row]!, this.#shards)]!.push([batch, row]);
    }
    return rows.map((own) => {
      const of = emptyColumns(own.length);
      own.forEach(([batch, row], at) => {
        copyRow(batch, row, of, at);
      });
      return of;
    });
  }
}

function copyOf(batch: CandidateBatch): CandidateBatch {
  const { count, classes, keys, identity, partition, offset } = batch;
  return {
    count,
    classes: classes.slice(),
    keys: keys.slice(),
    identity: identity.slice(),
    partition: partition.slice(),
    offset: offset.slice(),
  };
}

function emptyColumns(count: number): CandidateBatch {
  return {
    count,
    classes: new Int32Array(count),
    keys: new Float64Array(count),
    identity: new Uint32Array(4 * count),
    partition: new Uint16Array(count),
    offset: new Float64Array(count),
  };
}

function copyRow(from: CandidateBatch, row: number, to: CandidateBatch, at: number): void {
  to.classes[at] = from.classes[row]!;
  to.keys[at] = from.keys[row]!;
  to.partition[at] = from.partition[row]!;
  to.offset[at] = from.offset[row]!;
  to.identity.set(from.identity.subarray(4 * row, 4 * row + 4), 4 * at);
}
