import type { Keeper } from "../../operators/archive/archive.js";
import type { ChainName } from "../../schemas/keys.js";
import type { ClassFill } from "../../schemas/progress.js";
import type { Segment } from "../../schemas/segment.js";

/** What goes along with scoring, and says whose bytes are wanted. */
export interface ScoreFollower {
  /** Takes in what the archive has of a chain up to `end`. */
  catchUp(chain: ChainName, end: number): Promise<void>;
  /** Takes in a segment just archived. */
  onSegment(segment: Segment): Promise<void>;
  /** Who keeps bytes */
  keepers(): readonly Keeper[];
  /** Makes durable what it has. */
  checkpoint(): Promise<unknown>;
  /** Rows that hold a place in a top K, and how full the classes of the first dataset's newest pane are, for progress */
  fill(): { readonly kept: number; readonly fill: ClassFill | undefined };
}
