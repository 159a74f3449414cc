import type { Log } from "../../connectors/log/log.js";
import type { TopicLog } from "../../pipelines/kafka/topic-log.js";
import type { Store } from "../../connectors/store/store.js";
import { canonicalJson, sha256Hex, type Json } from "../../schemas/canonical.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { Scenario } from "./scenario.js";
import type { World } from "./world.js";

/** A fault put into the real code from outside, which the simulation must find. */
export interface Bug {
  readonly name: string;
  /** What goes wrong, in a sentence */
  readonly what: string;
  /** A seed that is known to catch it: tried first, and by the unit test */
  readonly likelySeed?: number;
  /** The side of which it is, where it is of one alone: seeds of the other cannot catch it */
  readonly side?: Scenario["side"];
  /** The store as every process sees it */
  readonly store?: (store: Store, world: World) => Store;
  /** The store as a cut sees it */
  readonly cutStore?: (store: Store, frontier: Frontier) => Store;
  /** The store as one sees it that frees what nobody needs */
  readonly collectorStore?: (store: Store) => Store;
  /** The store as one sees it that erases images */
  readonly eraserStore?: (store: Store) => Store;
  /** The log as every process sees it that scores, keeps states, publishes or labels */
  readonly log?: (log: TopicLog) => Log;
  /** The log as a producer of retries sees it */
  readonly producerLog?: (log: Log) => Log;
  readonly cut?: (cut: Cut) => Cut;
  /** What publications by a trigger are said to be */
  readonly automatic?: boolean;
  /** Changes a prototype; returns what puts it back. Once a run. */
  readonly install?: () => () => void;
}

/** Puts another property in place of a prototype's; returns what puts the old one back. */
export function replace(
  prototype: object,
  name: string,
  make: (old: PropertyDescriptor) => PropertyDescriptor,
): () => void {
  const old = Object.getOwnPropertyDescriptor(prototype, name)!;
  Object.defineProperty(prototype, name, { ...old, ...make(old) });
  return () => {
    Object.defineProperty(prototype, name, old);
  };
}

export const isCheckpoint = (key: string): boolean => key.startsWith("checkpoints/") && key.includes("/at/");

interface CheckpointText {
  parameters: string;
  coverage: { frontier: Frontier; [name: string]: Json | Frontier };
  panes: Json[];
}

/** A checkpoint's bytes with something changed, and a digest that says that all is well. */
export function changedCheckpoint(bytes: Uint8Array, change: (checkpoint: CheckpointText) => void): Uint8Array {
  const { checkpoint } = JSON.parse(Buffer.from(bytes).toString()) as { checkpoint: CheckpointText };
  change(checkpoint);
  const value = checkpoint as unknown as Json;
  return Buffer.from(canonicalJson({ checkpoint: value, sha256: sha256Hex(canonicalJson(value)) }));
}

/** Writes of some keys that replace what is there and say that nothing was. */
export const overwriting =
  (matches: (key: string) => boolean) =>
  (store: Store): Store => ({
    ...store,
    putIfAbsent: async (key, bytes) => {
      if (!matches(key)) return store.putIfAbsent(key, bytes);
      await store.put(key, bytes);
      return "created";
    },
  });

export const nextUp = (value: number): number => value + Math.abs(value) * 2 ** -50;
