import type { Store } from "../../connectors/store/store.js";
import { orNull } from "../../schemas/errors.js";
import { keys, runFileName, type ChainName } from "../../schemas/keys.js";
import { encodeRun } from "../../schemas/run.js";
import { ChainRuns } from "./chain-runs.js";
import { segmentStart } from "./segment-objects.js";

export interface Swept {
  /** Objects of segments that runs have the rows of, and what late writers left below */
  readonly segments: number;
  /** Parquet files of runs under a higher one, and of writings that came to nothing */
  readonly files: number;
  readonly sizeBytes: number;
}

/**
 * Deletes what lies under runs that were created before `untilMs`, which no reader needs that began since. A file goes only when
 * the index at its start and level is there and the standing run names other files: before, its writer may yet win.
 */
export async function sweepChain(store: Store, chain: ChainName, untilMs: number): Promise<Swept> {
  const runs = new ChainRuns(store, chain);
  await runs.refresh();
  const swept = { segments: 0, files: 0, sizeBytes: 0 };
  const end = await oldEnd(runs, untilMs);
  if (end !== null) {
    for await (const { key, sizeBytes } of store.list(keys.chain(chain))) {
      if (!key.endsWith(".arrow")) continue;
      if (segmentStart(key) >= end) break;
      await store.delete(key);
      swept.segments++;
      swept.sizeBytes += sizeBytes;
    }
  }
  for await (const { key, sizeBytes } of store.list(keys.runFiles(chain))) {
    if (!(await isGarbage(runs, key, untilMs))) continue;
    await giveUpBody(store, runs, chain, key);
    await store.delete(key);
    swept.files++;
    swept.sizeBytes += sizeBytes;
  }
  return swept;
}

/** Where the runs of level 0 end that were created before a time; null where none was. */
async function oldEnd(runs: ChainRuns, untilMs: number): Promise<number | null> {
  for (const start of runs.startsOf(0).toReversed()) {
    const head = await orNull(runs.head(start, 0), "E_SEGMENT_CORRUPT");
    if (head !== null && head.createdMs < untilMs) return head.end;
  }
  return null;
}

async function isGarbage(runs: ChainRuns, key: string, untilMs: number): Promise<boolean> {
  const name = runFileName(key);
  if (name === null || !runs.startsOf(name.level).includes(name.start)) return false;
  const standing = await runs.standingAt(name.start);
  const head = await orNull(runs.head(standing.start, standing.level), "E_SEGMENT_CORRUPT");
  return head !== null && head.createdMs < untilMs && !head.files.some((file) => file.key === key);
}

/** Of the index whose files go only the head is kept: its key stays taken for ever. */
async function giveUpBody(store: Store, runs: ChainRuns, chain: ChainName, file: string): Promise<void> {
  const name = runFileName(file)!;
  const head = await orNull(runs.head(name.start, name.level), "E_SEGMENT_CORRUPT");
  if (head === null) return;
  const standing = await runs.standingAt(name.start);
  if (head.blocks.length === 0 || standing.level <= name.level || !head.files.some(({ key }) => key === file)) return;
  await store.put(keys.runIndex(chain, name.start, name.level), encodeRun(head, []));
}
