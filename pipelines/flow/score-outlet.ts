import type { Assignment, Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import type { ChainName } from "../../schemas/keys.js";
import type { Segment } from "../../schemas/segment.js";
import { encodeCandidates } from "../../schemas/wire/candidates.js";
import { encodeQuarantined } from "../../schemas/wire/quarantined.js";
import type { SegmentCandidates } from "../kafka/segment-candidates.js";
import type { ThresholdBoard } from "../kafka/threshold-board.js";

/** Who hears of archived segments: each at least once before its end is committed. */
export interface ScoreOutlet {
  /** A partition was given to this process: what is archived of its chain up to `end` and not committed is sent again. */
  takeOver(assignment: Assignment, chain: ChainName, end: number): Promise<void>;
  forward(segment: Segment): Promise<void>;
}

export interface TopicOutletOptions {
  readonly log: Log;
  readonly store: Store;
  readonly candidates: SegmentCandidates;
  /** What its candidates are pruned by */
  readonly board: Pick<ThresholdBoard, "refresh">;
  readonly topics: { readonly candidates: string; readonly quarantine: string };
  readonly onForwardedAgain?: (segment: Segment) => void;
  readonly nowMs: () => number;
}

/** Sends a segment's candidates, one message a class shard, and what it quarantined, to their topics. */
export class TopicOutlet implements ScoreOutlet {
  readonly #options: TopicOutletOptions;

  constructor(options: TopicOutletOptions) {
    this.#options = options;
  }

  async takeOver(assignment: Assignment, chain: ChainName, end: number): Promise<void> {
    const { store, onForwardedAgain } = this.#options;
    const reader = new ChainReader(store, chain);
    // Somebody may have set the group's offsets by hand to what is no segment's start.
    const from = await reader.boundaryAtOrBelow((await assignment.committed()) ?? chain.origin);
    if (from >= end) return;
    for await (const segment of reader.segments(from, end)) {
      if (assignment.signal.aborted) return;
      await this.forward(segment);
      await assignment.commit(segment.header.end);
      onForwardedAgain?.(segment);
    }
  }

  async forward(segment: Segment): Promise<void> {
    const { log, candidates, board, topics, nowMs } = this.#options;
    await board.refresh();
    const { teacher, stream, partition, rejected } = segment.header;
    await Promise.all(
      candidates
        .messagesOf(segment)
        .map((message) => log.append(topics.candidates, message.shard, [encodeCandidates(message, nowMs())])),
    );
    if (rejected.length === 0) return;
    const quarantined = rejected.map((one) => encodeQuarantined({ teacher, stream, partition, ...one }, nowMs()));
    await log.append(topics.quarantine, 0, quarantined);
  }
}
