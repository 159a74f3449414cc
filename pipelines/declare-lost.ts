import type { Store } from "../connectors/store/store.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import type { ChainReader, Gap } from "../operators/archive/chain-reader.js";
import { damagedRecords } from "../operators/archive/damaged-records.js";
import { lostRangeOf } from "../operators/archive/lost-range-of.js";
import { declareLostRange } from "../operators/archive/lost-ranges.js";
import { throwIfStopped } from "../operators/archive/throw-if-stopped.js";
import { SluiceError } from "../schemas/errors.js";
import { endIn } from "../schemas/frontier.js";
import type { ChainName } from "../schemas/keys.js";
import { recordsLost, type LostRange } from "../schemas/lost-range.js";
import type { Manifest } from "../schemas/manifest.js";
import { archiveTarget, type ArchiveTarget } from "./archive-target.js";
import { listVersions } from "./versions/versions.js";

export interface DeclareLostOptions {
  readonly store: Store;
  readonly stream: string;
  /** Digests of the teachers whose scores may be meant */
  readonly teachers: readonly string[];
  /** Whose versions are looked at for what is lost */
  readonly datasets: readonly string[];
  /** An object's key, or `stream/partition/start-end` */
  readonly target: string;
  readonly reason: string;
  readonly author: string;
  readonly dryRun: boolean;
  readonly nowMs: number;
  readonly signal?: AbortSignal;
}

export interface DeclaredLost {
  /** The declaration's; null in a dry run */
  readonly number: number | null;
  readonly chain: ChainName;
  /** Offsets [start, end) */
  readonly start: number;
  readonly end: number;
  readonly records: number;
  readonly key: string | null;
  /** What is damaged, for people */
  readonly damage: string;
  /** `dataset/number` of the versions that were cut over these offsets */
  readonly versions: readonly string[];
}

/**
 * Declares lost what of the target is damaged, in whole segments and row groups, and nothing else. Throws E_USAGE where the target is no part of an
 * archive, or all of it can be read.
 */
export async function declareLost(options: DeclareLostOptions): Promise<DeclaredLost[]> {
  const { store, stream, datasets, target, reason, author, dryRun, nowMs, signal } = options;
  const manifests: Manifest[] = [];
  for (const dataset of datasets)
    for await (const manifest of listVersions(store, dataset, () => undefined)) manifests.push(manifest);
  const wanted = archiveTarget(options.target, options);
  const declared: DeclaredLost[] = [];
  for (const teacher of wanted.teachers) {
    const archive = new ArchiveReader(store, { teacher, stream: wanted.stream });
    for (const chain of await archive.chains()) {
      if (!wanted.isIn(chain)) continue;
      const reader = archive.chain(chain);
      for (const gap of await damageIn(reader, store, wanted, signal)) {
        const made = manifests.filter(
          (one) =>
            one.teacher.digest === teacher &&
            one.provenance.stream === stream &&
            endIn(one.provenance.frontier, chain) > gap.start,
        );
        const ends = made.map(({ provenance }) => endIn(provenance.frontier, chain));
        const range = await lostRangeOf(store, reader, gap, ends, { reason, author, declaredMs: nowMs });
        const number = dryRun ? null : await declareLostRange(store, chain, range);
        declared.push(declaredOf(number, chain, range, gap, made));
      }
    }
  }
  if (declared.length > 0) return declared;
  throw new SluiceError(
    "E_USAGE",
    `Expected something damaged in ${target}, found nothing there that is not as it was written, or that is not declared lost already. ` +
      "`sluice archive verify` names what is damaged.",
  );
}

function declaredOf(
  number: number | null,
  chain: ChainName,
  range: LostRange,
  gap: Gap,
  made: readonly Manifest[],
): DeclaredLost {
  const { start, end, key } = range;
  const versions = made.map((one) => `${one.dataset}/${one.number}`);
  return { number, chain, start, end, records: recordsLost(range), key, damage: gap.error.message, versions };
}

/** What of the wanted offsets cannot be read. */
async function damageIn(
  reader: ChainReader,
  store: Store,
  wanted: ArchiveTarget,
  signal?: AbortSignal,
): Promise<Gap[]> {
  const found = new Map<number, Gap>();
  const onGap = (gap: Gap): void => {
    if (!found.has(gap.start)) found.set(gap.start, gap);
  };
  const { chain, runs } = reader;
  const from = Math.max(chain.origin, wanted.start);
  const runsEnd = await runs.end();
  const end = await reader.end(chain.origin, onGap);
  const until = wanted.end ?? (from < runsEnd ? (await runs.standingAt(from)).end : from + 1);
  // Boundaries that hold the wanted offsets, as far as headers say them.
  let [low, high] = [chain.origin, end];
  for await (const header of reader.headers(chain.origin, end, onGap)) {
    if (header.end <= from) low = header.end;
    if (header.end >= until) {
      high = header.end;
      break;
    }
  }
  const segments = reader.segments(low, high, onGap);
  while ((await segments.next()).done !== true) {
    throwIfStopped(signal, "Nothing was declared lost: the reading was stopped on request.");
  }
  for await (const gap of damagedRecords(store, runs, low, Math.min(high, runsEnd))) onGap(gap);
  return [...found.values()].filter((gap) => gap.start < until && gap.end > from).sort((a, b) => a.start - b.start);
}
