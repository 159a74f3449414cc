import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { World } from "./world.js";

/** A fault put into the real code from outside, which the simulation must find. */
export interface Bug {
  readonly name: string;
  /** What goes wrong, in a sentence */
  readonly what: string;
  /** A seed that is known to catch it, where the first few do not: tried first */
  readonly likelySeed?: number;
  /** The store as every process sees it */
  readonly store?: (store: Store, world: World) => Store;
  /** The store as a cut sees it */
  readonly cutStore?: (store: Store, frontier: Frontier) => Store;
  /** The log as a scorer sees it */
  readonly log?: (log: Log) => Log;
  /** The log as a producer of retries sees it */
  readonly producerLog?: (log: Log) => Log;
  readonly cut?: (cut: Cut) => Cut;
  /** What publications by a trigger are said to be */
  readonly automatic?: boolean;
  /** Changes a prototype; returns what puts it back. Once a run. */
  readonly install?: () => () => void;
}
