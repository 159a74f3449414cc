import { quota } from "../../operators/select/quota.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { ranking, type Ranking } from "../../operators/select/ranking.js";
import { paneOf, panesOf } from "../../operators/select/windows.js";
import type { Keeper } from "../../operators/archive/archive.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import type { Observer } from "../../schemas/observed.js";
import type { RankedCard } from "../../schemas/model-card.js";
import { tracedIn } from "../../schemas/trace.js";
import { shardOfClass } from "../../schemas/shard.js";
import { decodeThresholds, thresholdsPlace, type Thresholds } from "../../schemas/wire/thresholds.js";
import { InTurn } from "../../connectors/in-turn.js";
import type { Fill } from "../flow/downstream.js";
import { fillOf, keeperOf } from "../flow/pane-thresholds.js";
import { TracedImages } from "../flow/traced-images.js";
import type { TopicLog } from "./topic-log.js";

export interface ThresholdBoardOptions {
  readonly log: Pick<TopicLog, "ends" | "read">;
  readonly topic: string;
  readonly teacher: string;
  readonly stream: string;
  readonly card: RankedCard;
  readonly datasets: readonly Dataset[];
  readonly shards: number;
  readonly onWarning: (message: string) => void;
  readonly observer?: Observer | undefined;
  readonly nowMs: () => number;
}

/** What all class shards together say of one pane. */
export interface PaneThresholds {
  /** Least rank keys; -Infinity where nothing is known, [L] */
  readonly keys: Float64Array;
  /** Distinct images, at most K + R, [L] */
  readonly counts: Uint32Array;
  /** By shard, the frontier of the checkpoint that its keys come from; null where nothing is known, [shards] */
  readonly at: (Frontier | null)[];
  /** Records covered by the furthest of these checkpoints */
  records: number;
  /** Images scored among them */
  scored: number;
}

interface Entry {
  readonly dataset: Dataset;
  readonly parameters: string;
  readonly ranking: Ranking;
  readonly panes: Map<number, PaneThresholds>;
}

/** The topic is asked for news at most this often, ms */
const REFRESH_MS = 250;
const READ = { maxRecords: 1000, maxBytes: 16 * 1024 * 1024 };

/** The newest thresholds of all panes, as top-K workers have published them. */
export class ThresholdBoard {
  readonly #options: ThresholdBoardOptions;
  readonly #entries: readonly Entry[];
  #position = 0;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  readonly #turns = new InTurn();
  /** The traced images that workers have ranked since this board was opened, for the version that they come into */
  readonly traced: TracedImages;
  readonly #openedMs: number;

  constructor(options: ThresholdBoardOptions) {
    const { datasets, teacher, stream, card } = options;
    this.#options = options;
    this.traced = new TracedImages(options.observer, options.nowMs);
    this.#openedMs = options.nowMs();
    this.#entries = datasets.map((dataset) => ({
      dataset,
      parameters: parametersDigest(dataset, teacher, stream, card),
      ranking: ranking(dataset.select, card),
      panes: new Map(),
    }));
  }

  /** Reads what is new. */
  async refresh(): Promise<void> {
    await this.#turns.run(() => this.#refresh());
  }

  async #refresh(): Promise<void> {
    const { log, topic, nowMs } = this.#options;
    if (nowMs() - this.#refreshedMs < REFRESH_MS) return;
    const { start, end } = (await log.ends(topic))[0]!;
    if (end < this.#position) {
      // Made anew: what was known came from checkpoints all the same, but nobody ends it any more.
      this.#position = 0;
      for (const { panes } of this.#entries) panes.clear();
    }
    const from = Math.max(start, this.#position);
    if (from < end) {
      const read = log.read(topic, 0, from, { ...READ, until: end }, new AbortController().signal);
      for await (const { records } of read) for (const record of records) this.#take(record);
    }
    this.#position = end;
    this.#refreshedMs = nowMs();
  }

  #take(record: StoredRecord): void {
    const { topic, shards, onWarning } = this.#options;
    let thresholds: Thresholds | null;
    try {
      thresholds = decodeThresholds(record, { topic, partition: 0 });
    } catch (error) {
      if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
      onWarning(`${error.message} It is passed over.`);
      return;
    }
    this.#options.observer?.take({ event: "thresholds.read", atMs: record.timestampMs });
    // What was told before, another publisher has dealt with.
    if (record.timestampMs >= this.#openedMs) this.traced.add(tracedIn(record.headers));
    if (thresholds === null) this.#end(Buffer.from(record.key ?? []).toString());
    else if (thresholds.shards === shards) this.#set(thresholds);
  }

  #set({ parameters, paneMs, shard, shards, keys, counts, at, records, scored }: Thresholds): void {
    const entry = this.#entries.find((one) => one.parameters === parameters);
    if (entry === undefined || shard >= shards) return;
    const classes = entry.ranking.labels.length;
    const pane = paneNumber(entry.dataset, paneMs);
    if (pane === null || keys.length !== Math.ceil((classes - shard) / shards)) return;
    let known = entry.panes.get(pane);
    if (known === undefined) {
      known = {
        keys: new Float64Array(classes).fill(Number.NEGATIVE_INFINITY),
        counts: new Uint32Array(classes),
        at: Array.from({ length: shards }, () => null),
        records: 0,
        scored: 0,
      };
      entry.panes.set(pane, known);
    }
    known.at[shard] = at;
    known.records = Math.max(known.records, records);
    known.scored = Math.max(known.scored, scored);
    for (let i = 0, classIndex = shard; classIndex < classes; i++, classIndex += shards) {
      known.keys[classIndex] = keys[i]!;
      known.counts[classIndex] = counts[i]!;
    }
  }

  #end(key: string): void {
    const { teacher, shards } = this.#options;
    const place = thresholdsPlace(key);
    const entry = this.#entries.find(({ dataset }) => dataset.name === place?.dataset);
    if (place === null || entry === undefined || place.teacher !== teacher || place.shard >= shards) return;
    const pane = paneNumber(entry.dataset, place.paneMs);
    const known = pane === null ? undefined : entry.panes.get(pane);
    if (pane === null || known === undefined) return;
    known.at[place.shard] = null;
    known.keys.forEach((_, classIndex) => {
      if (shardOfClass(classIndex, shards) === place.shard) known.keys[classIndex] = Number.NEGATIVE_INFINITY;
    });
    if (known.at.every((at) => at === null)) entry.panes.delete(pane);
  }

  /** null where nothing is known */
  of(parameters: string, pane: number): PaneThresholds | null {
    return this.#entries.find((one) => one.parameters === parameters)?.panes.get(pane) ?? null;
  }

  /** Images of each class in a span, at most up to K; an image counts in each pane that it is in. [L] */
  countsOf(dataset: Dataset, span: Span): Uint32Array {
    const entry = this.#entries.find((one) => one.dataset.name === dataset.name);
    const counts = new Uint32Array(entry?.ranking.labels.length ?? 0);
    const { first, end } = panesOf(dataset.window, span);
    for (const [pane, known] of entry?.panes ?? []) {
      if (pane >= first && pane < end) known.counts.forEach((count, index) => (counts[index]! += count));
    }
    return counts;
  }

  keepers(): Keeper[] {
    return this.#entries.map(({ dataset, parameters, ranking: ranks, panes }) => {
      const records = [...panes.values()].map((known) => known.records);
      const thresholdsAt = records.length === 0 ? null : Math.max(...records);
      return keeperOf(dataset, { parameters, ranking: ranks, thresholdsAt }, (pane) => panes.get(pane)?.keys ?? null);
    });
  }

  fill(): Fill {
    return fillOf(
      this.#entries.flatMap(({ dataset, ranking: ranks, panes }) =>
        [...panes.entries()]
          .sort(([a], [b]) => b - a)
          .map(([, { counts, scored }]) => ({ counts, quota: quota(dataset.select.k, ranks, { scored }) })),
      ),
    );
  }
}

function paneNumber(dataset: Dataset, paneMs: number | null): number | null {
  return paneMs === null ? 0 : paneOf(dataset.window, paneMs);
}
