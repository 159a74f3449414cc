import { frontierName, type Frontier } from "./frontier.js";

/** The object store's layout. Keys hold neither `+` nor `%`, and no key is another's folder: POSIX gateways need both. */

const digits = (offset: number): string => String(offset).padStart(20, "0");

/** Names one chain of segments: a start (`origin`) in one partition of one stream, under one teacher. */
export interface ChainName {
  readonly teacher: string;
  readonly stream: string;
  readonly partition: number;
  readonly origin: number;
}

export const keys = {
  chain: ({ teacher, stream, partition, origin }: ChainName): string =>
    `scores/${teacher}/${stream}/${partition}/${digits(origin)}/`,
  segment: (chain: ChainName, start: number): string => `${keys.chain(chain)}${digits(start)}.arrow`,

  /** Says where the live chain of a partition starts; replays start elsewhere. */
  liveChain: ({ teacher, stream, partition }: Omit<ChainName, "origin">): string =>
    `scores/${teacher}/${stream}/${partition}/live.json`,

  /** Bytes by content. `sha256` is 64 hexadecimal digits. */
  image: (sha256: string): string => `images/sha256/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}`,

  checkpoints: (parameters: string, shard: number): string => `checkpoints/${parameters}/${shard}/at/`,
  checkpoint: (parameters: string, shard: number, frontier: Frontier): string =>
    `${keys.checkpoints(parameters, shard)}${frontierName(frontier)}.json`,
  checkpointParts: (parameters: string, shard: number): string => `checkpoints/${parameters}/${shard}/panes/`,
  /** One pane's state as it was at a frontier. */
  checkpointPart: (parameters: string, shard: number, pane: number, frontier: Frontier): string =>
    `${keys.checkpointParts(parameters, shard)}${pane}/${frontierName(frontier)}.topk`,

  versions: (dataset: string): string => `versions/${dataset}/`,
  manifest: (dataset: string, number: number): string => `versions/${dataset}/${number}/manifest.json`,
  /**
   * The files of one attempt to publish; only a manifest makes them a version. The id is not in it: it is known when the
   * last row has passed, and the first files are written long before.
   */
  attempts: (dataset: string): string => `versions/${dataset}/data/`,
  attempt: (dataset: string, attempt: string): string => `${keys.attempts(dataset)}${attempt}/`,

  teacher: (teacher: string): string => `teachers/${teacher}/model-card.json`,
} as const;
