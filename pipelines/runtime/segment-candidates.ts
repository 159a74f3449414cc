import { candidates, type CandidatesState } from "../../operators/pure/candidates.js";
import { ranking, type Ranking } from "../../operators/pure/ranking.js";
import { rowsByPane } from "../../operators/pure/select-rows.js";
import { paneSpan } from "../../operators/pure/windows.js";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { parametersDigest, type Dataset } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";
import { shardOfClass, type CandidatesMessage, type CandidatesPart } from "../../schemas/wire/candidates.js";

export interface SegmentCandidatesOptions {
  readonly datasets: readonly Dataset[];
  readonly teacher: string;
  readonly stream: string;
  readonly card: Pick<ModelCard, "labels" | "temperature">;
  readonly shards: number;
}

interface Entry {
  readonly dataset: Dataset;
  readonly parameters: string;
  readonly ranking: Ranking;
  readonly operator: CandidatesState;
}

/** A candidate's columns take so many bytes in a message. */
const ROW_BYTES = 36;
/** The chain's coordinates, the schema, and padding; each part's dataset comes on top. */
const HEAD_BYTES = 4096;

/**
 * What an archived segment gives each class shard: the same for the same segment, whoever sends it and whenever. Nothing
 * but the datasets' floors leaves a row out.
 */
export class SegmentCandidates {
  readonly #shards: number;
  readonly #entries: readonly Entry[];

  constructor({ datasets, teacher, stream, card, shards }: SegmentCandidatesOptions) {
    this.#shards = shards;
    this.#entries = datasets.map((dataset) => {
      const ranks = ranking(dataset.select, card);
      const { labels, floorKey } = ranks;
      return {
        dataset,
        parameters: parametersDigest(dataset, teacher, stream),
        ranking: ranks,
        operator: candidates({ p: dataset.select.p, classes: labels.length, floorKey }).restore(),
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
    const { teacher, stream, partition, origin, start, end, watermarkMs } = header;
    const coordinates = { teacher, stream, partition, origin, start, end, watermarkMs };
    const parts = Array.from({ length: this.#shards }, (): CandidatesPart[] => []);
    for (const entry of this.#entries) {
      for (const [pane, rows] of rowsByPane(entry.dataset.window, batch)) {
        const made = this.#candidatesOf(entry, rows);
        const paneMs = paneSpan(entry.dataset.window, pane).startMs;
        const { dataset, parameters } = entry;
        for (const [shard, of] of this.#byShard(made).entries()) {
          if (of.count === 0) continue;
          parts[shard]!.push({ dataset: dataset.name, parameters, paneMs, thresholdsAt: null, batch: of });
        }
      }
    }
    return parts.map((own, shard) => ({ ...coordinates, shard, shards: this.#shards, parts: own }));
  }

  #candidatesOf({ ranking: ranks, operator }: Entry, rows: ScoredBatch): CandidateBatch[] {
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
