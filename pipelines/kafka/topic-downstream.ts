import type { Assignment } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import type { Keeper } from "../../operators/archive/archive.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import type { ChainName } from "../../schemas/keys.js";
import type { Segment } from "../../schemas/segment.js";
import { tracedHeaders, type TracedImage } from "../../schemas/trace.js";
import { encodeCandidates, type CandidatesMessage } from "../../schemas/wire/candidates.js";
import type { Downstream, Fill } from "../flow/downstream.js";
import { SegmentCandidates, type SegmentCandidatesOptions } from "./segment-candidates.js";
import { tellQuarantined } from "./told-quarantine.js";
import { ThresholdBoard, type ThresholdBoardOptions } from "./threshold-board.js";
import type { TopicLog } from "./topic-log.js";

export interface TopicDownstreamOptions
  extends Omit<SegmentCandidatesOptions, "thresholdsOf">, Omit<ThresholdBoardOptions, "topic" | "log"> {
  readonly log: TopicLog;
  readonly store: Store;
  readonly topics: Pick<KafkaConfig["topics"], "candidates" | "thresholds" | "quarantine">;
  /** Is told of each segment that was sent again since nobody had committed it */
  readonly onSentAgain?: (segment: Segment) => void;
}

/**
 * Sends a segment's candidates, one message a class shard, and what it quarantined, to their topics. The states are the top-K
 * workers': this one knows of them what the thresholds topic says.
 */
export class TopicDownstream implements Downstream {
  readonly #options: TopicDownstreamOptions;
  readonly #board: ThresholdBoard;
  readonly #candidates: SegmentCandidates;

  constructor(options: TopicDownstreamOptions) {
    this.#options = options;
    const board = new ThresholdBoard({ ...options, topic: options.topics.thresholds });
    this.#board = board;
    this.#candidates = new SegmentCandidates({
      ...options,
      thresholdsOf: (parameters, pane) => board.of(parameters, pane),
    });
  }

  /** See `SegmentCandidates` */
  greatestBytes(records: number): number {
    return this.#candidates.greatestBytes(records);
  }

  async catchUp(chain: ChainName, end: number, given: Assignment): Promise<void> {
    await this.#board.refresh();
    const reader = new ChainReader(this.#options.store, chain);
    // Somebody may have set the group's offsets by hand to what is no segment's start.
    const from = await reader.boundaryAtOrBelow((await given.committed()) ?? chain.origin);
    if (from >= end) return;
    for await (const segment of reader.segments(from, end)) {
      if (given.signal.aborted) return;
      await this.take(segment);
      await given.commit(segment.header.end);
      this.#options.onSentAgain?.(segment);
    }
  }

  async take(segment: Segment, traced: readonly TracedImage[] = []): Promise<void> {
    const { log, topics, nowMs } = this.#options;
    await this.#board.refresh();
    await Promise.all(
      this.#candidates.messagesOf(segment).map((message) => {
        const record = encodeCandidates(message, nowMs());
        const headers = tracedHeaders(traced.filter(({ offset }) => hasRow(message, offset)));
        return log.append(topics.candidates, message.shard, [
          { ...record, headers: { ...record.headers, ...headers } },
        ]);
      }),
    );
    await tellQuarantined(segment, { log, topic: topics.quarantine, nowMs });
  }

  keepers(): Keeper[] {
    return this.#board.keepers();
  }

  fill(): Fill {
    return this.#board.fill();
  }

  /** What was taken has been sent. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Whether any dataset has an image among a shard's candidates: below the thresholds it has not. */
function hasRow({ datasets }: CandidatesMessage, offset: number): boolean {
  return datasets.some(({ parts }) => parts.some(({ batch }) => batch.offset.includes(offset)));
}
