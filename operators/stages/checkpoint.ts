import type { Store } from "../../connectors/store/store.js";
import { DatasetState, splitSnapshot, type DatasetStateOptions } from "../pure/dataset-state.js";
import { parametersDigest } from "../../schemas/dataset.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { sha256 } from "../../schemas/canonical.js";
import { atOrBelow, type Frontier } from "../../schemas/frontier.js";
import { keys } from "../../schemas/keys.js";

/** The only class shard so far: shards are partitions of the candidates topic. */
const SHARD = 0;
const MAGIC = Buffer.from("SLUICECP");
const DIGEST_BYTES = 32;

/** Writes the state as an immutable object named by its frontier; one that is there already is the same. */
export async function writeCheckpoint(store: Store, state: DatasetState): Promise<string> {
  const key = keys.checkpoint(state.parameters, SHARD, state.frontier);
  const snapshot = state.snapshot();
  await store.putIfAbsent(key, Buffer.concat([MAGIC, sha256(snapshot), snapshot]));
  return key;
}

/**
 * The state of the newest valid checkpoint at or below `frontier`, or the empty state. A checkpoint that cannot be
 * read is passed over: an older one and the archive give the same state. `onWarning` hears of each.
 */
export async function restoreAtOrBelow(
  store: Store,
  options: DatasetStateOptions,
  frontier: Frontier,
  onWarning?: (message: string) => void,
): Promise<DatasetState> {
  const parameters = parametersDigest(options.dataset, options.teacher, options.stream);
  for (const key of await checkpointKeys(store, parameters)) {
    try {
      const snapshot = open(await store.get(key), key);
      if (atOrBelow(splitSnapshot(snapshot).coverage.frontier, frontier)) return new DatasetState(options, snapshot);
    } catch (error) {
      // E_STORE_MISSING: removed between listing and reading, by a process that keeps only the newest few.
      if (!isSluiceError(error, "E_CHECKPOINT_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      onWarning?.(error.message);
    }
  }
  return new DatasetState(options);
}

/** Removes all but the newest `keep` checkpoints of a state. */
export async function pruneCheckpoints(store: Store, parameters: string, keep: number): Promise<void> {
  for (const key of (await checkpointKeys(store, parameters)).slice(keep)) await store.delete(key);
}

/** Newest first: names of later frontiers sort behind those of earlier ones. */
async function checkpointKeys(store: Store, parameters: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(keys.checkpoints(parameters, SHARD))) found.push(key);
  return found.reverse();
}

function open(bytes: Uint8Array, key: string): Uint8Array {
  const digest = bytes.subarray(MAGIC.length, MAGIC.length + DIGEST_BYTES);
  const snapshot = bytes.subarray(MAGIC.length + DIGEST_BYTES);
  if (!MAGIC.equals(bytes.subarray(0, MAGIC.length)) || !Buffer.from(sha256(snapshot)).equals(digest)) {
    throw new SluiceError(
      "E_CHECKPOINT_CORRUPT",
      `Expected a checkpoint at ${key}, found other bytes. It is passed over; the archive gives the same state.`,
      { key },
    );
  }
  return snapshot;
}
