import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import type { ErrorCode } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import type { QuarantineCounts } from "../../schemas/run.js";
import type { Rejected } from "../../schemas/segment.js";
import { stillRefused } from "./seen-again.js";

export interface Quarantined extends Rejected {
  readonly stream: string;
  readonly partition: number;
}

export interface QuarantineFilter {
  /** Only these codes */
  readonly codes?: readonly ErrorCode[];
  /** Only this digest or uri */
  readonly match?: string;
}

/**
 * The records that are in quarantine under a teacher now: refused, not taken up again since, and what lay in their place has not been seen again
 * later and used (a file that was still being written, a shard that was mended). What was refused again is listed once, as it was last. In the
 * order of (partition, offset). Where any is there that matches, the archive's rows behind the first of them are read.
 */
export async function* listQuarantine(
  store: Store,
  place: { teacher: string; stream: string },
  filter: QuarantineFilter = {},
): AsyncGenerator<Quarantined, void, undefined> {
  const archive = new ArchiveReader(store, place);
  if (!(await mayHaveAny(archive))) return;
  yield* await stillRefused(archive, await notRetried(archive), (one) => matches(one, filter));
}

/** false: the newest runs and the tails of the chains say that nothing was refused, so that no header is read for it. */
async function mayHaveAny(archive: ArchiveReader): Promise<boolean> {
  for (const chain of await archive.chains()) {
    const { open, others } = await archive.chain(chain).quarantined();
    if (others > 0 || Object.values(open).some((count) => count > 0)) return true;
  }
  return false;
}

/** The records that were refused and not taken up again, whatever came later in their place. */
async function notRetried(archive: ArchiveReader): Promise<Quarantined[]> {
  const { stream } = archive.archive;
  // A record may be refused in one chain and taken up again in another of its partition, at a later offset.
  const byPartition = new Map<number, ChainName[]>();
  for (const chain of await archive.chains()) {
    byPartition.set(chain.partition, [...(byPartition.get(chain.partition) ?? []), chain]);
  }
  const refused: Quarantined[] = [];
  for (const [partition, chains] of byPartition) {
    const open = new Map<number, Rejected>();
    for (const chain of chains)
      // A gap is `verify`'s and `rebuild`'s to report.
      for await (const { rejected, retried } of archive
        .chain(chain)
        .headers(chain.origin, undefined, () => undefined)) {
        for (const one of rejected) {
          if (one.retryOf !== null) open.delete(one.retryOf);
          open.set(one.offset, one);
        }
        for (const offset of retried) open.delete(offset);
      }
    for (const one of open.values()) refused.push({ ...one, stream, partition });
  }
  return refused;
}

/**
 * How many records were refused and not taken up again, by code. `listQuarantine` gives no more than these: it has what was refused twice in one
 * place once, and leaves out what was used there since, for which rows are read. Here the newest run of each chain says it, and its tail, unless
 * records were taken up again in another chain than the one that refused them.
 */
export async function countQuarantine(archive: ArchiveReader): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const add = (code: string, count: number): void => {
    counts[code] = (counts[code] ?? 0) + count;
  };
  const chains: QuarantineCounts[] = [];
  for (const chain of await archive.chains()) chains.push(await archive.chain(chain).quarantined());
  if (chains.some(({ others }) => others > 0)) {
    for (const { code } of await notRetried(archive)) add(code, 1);
  } else {
    for (const { open } of chains) for (const [code, count] of Object.entries(open)) add(code, count);
  }
  return counts;
}

function matches(one: Rejected, { codes, match }: QuarantineFilter): boolean {
  if (codes !== undefined && !codes.includes(one.code)) return false;
  return match === undefined || one.uri === match || one.sha256 === match;
}
