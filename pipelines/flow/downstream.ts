import type { Assignment } from "../../connectors/log/log.js";
import type { Keeper } from "../../operators/archive/archive.js";
import type { ChainName } from "../../schemas/keys.js";
import type { ClassFill } from "../../schemas/progress.js";
import type { Segment } from "../../schemas/segment.js";
import type { TracedImage } from "../../schemas/trace.js";

/**
 * What follows scoring: top-K states in this process (`LiveDatasets`), or topics that other processes read (`TopicDownstream`). It
 * has every archived segment before the scorer commits its end, and says whose bytes are wanted.
 */
export interface Downstream {
  /**
   * Takes in what the archive has of a chain up to `end` and this has not yet. The scorer calls it when it is given a
   * partition, and then goes on from `end`.
   */
  catchUp(chain: ChainName, end: number, given: Assignment): Promise<void>;
  /** Takes in a segment just archived, and which of its images are traced. One that it has already changes nothing. */
  take(segment: Segment, traced?: readonly TracedImage[]): Promise<void>;
  /** The datasets that want bytes, by thresholds of durable checkpoints */
  keepers(): readonly Keeper[];
  fill(): Fill;
  /** Makes durable what was taken. */
  close(): Promise<void>;
}

/** For progress */
export interface Fill {
  /** Rows that hold a place in a top K, over all datasets */
  readonly kept: number;
  /** How full the classes of the first dataset's newest pane are */
  readonly fill: ClassFill | undefined;
}
