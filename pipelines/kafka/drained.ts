import { once } from "node:events";
import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readClaims } from "../../operators/archive/chain-claims.js";
import { endIn } from "../../schemas/frontier.js";
import { sleepUntil } from "../flow/sleep-until.js";

export interface DrainOptions {
  readonly log: Pick<Log, "ends">;
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  /** Aborts when a drain is asked */
  readonly drain: AbortSignal;
  /** Aborts when nobody waits any more */
  readonly signal: AbortSignal;
}

/** How often the archive is looked at, ms */
const LOOK_MS = 1000;

/**
 * Waits until a drain is asked, and then until the teacher's live chains have come to where the topic's partitions ended at that moment, whichever process of
 * the group scores them. false where the signal aborts before.
 */
export async function drained({ log, store, teacher, stream, drain, signal }: DrainOptions): Promise<boolean> {
  const stopped = (): boolean => signal.aborted;
  if (!drain.aborted && !stopped()) await once(AbortSignal.any([drain, signal]), "abort");
  if (stopped()) return false;
  const ends = (await log.ends(stream)).map(({ end }) => end);
  const archive = new ArchiveReader(store, { teacher, stream });
  while (!stopped()) {
    const live = (await readClaims(store, { teacher, stream })).filter(({ end }) => end === null);
    const frontier = await archive.frontier({ onGap: () => undefined });
    const isThere = ends.every(
      (end, partition) =>
        live.some((claim) => claim.partition === partition && endIn(frontier, claim) >= end) || end === 0,
    );
    if (isThere) return true;
    await sleepUntil(LOOK_MS, signal);
  }
  return false;
}
