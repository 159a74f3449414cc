import type { Store } from "../connectors/store/store.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import {
  damagedParts,
  repairParts,
  type DamagedPart,
  type RepairedPart,
  type RepairOptions,
} from "../operators/archive/repair-chain.js";
import { throwIfStopped } from "../operators/archive/throw-if-stopped.js";
import { SluiceError } from "../schemas/errors.js";
import { endIn } from "../schemas/frontier.js";
import { keys, type ChainName } from "../schemas/keys.js";
import type { Manifest } from "../schemas/manifest.js";
import { archiveTarget } from "./archive-target.js";
import { pinned } from "./flow/pinned.js";
import { listVersions } from "./versions/versions.js";

export interface RepairArchiveOptions {
  readonly store: Store;
  readonly stream: string;
  /** Digests of the teachers whose scores may be meant */
  readonly teachers: readonly string[];
  /** Whose versions are looked at */
  readonly datasets: readonly string[];
  /** An object's key, or `stream/partition/start-end`; null: all that is damaged */
  readonly target: string | null;
  /** null: says what is damaged, and changes nothing */
  readonly repair: Omit<RepairOptions, "beforeOthers"> | null;
  readonly nowMs: () => number;
  readonly signal?: AbortSignal;
}

export interface RepairedRange {
  readonly chain: ChainName;
  /** Offsets [start, end) */
  readonly start: number;
  readonly end: number;
  readonly needsRows: boolean;
  /** What it was made again from; null where it was not */
  readonly from: RepairedPart["from"] | null;
  /** Whether all bits are those that were written; null where nobody knows yet */
  readonly isSame: boolean | null;
  /** What is damaged, for people */
  readonly damage: string;
  /** `dataset/number` of the versions that were cut over these offsets */
  readonly versions: readonly string[];
}

/**
 * Makes what is damaged of the archive's rows again, and puts it in its place: from what lies beside it, from segments that are not swept
 * yet, or from the log. Before scores with other bits than before stand, the states made of those are deleted: they are made again from the archive.
 * Throws E_USAGE where nothing is damaged, and as `repairParts`.
 */
export async function repairArchive(options: RepairArchiveOptions): Promise<RepairedRange[]> {
  const { store, stream, datasets, target, repair, nowMs, signal } = options;
  const wanted =
    target === null
      ? { stream, teachers: options.teachers, isIn: () => true, start: 0, end: Number.POSITIVE_INFINITY }
      : archiveTarget(target, options);
  const manifests: Manifest[] = [];
  for (const dataset of datasets)
    for await (const manifest of listVersions(store, dataset, () => undefined)) manifests.push(manifest);
  const ranges: RepairedRange[] = [];
  for (const teacher of wanted.teachers) {
    const archive = new ArchiveReader(store, { teacher, stream: wanted.stream });
    await pinned(store, archive.archive, "repair", { nowMs }, async () => {
      for (const chain of await archive.chains()) {
        throwIfStopped(signal, "The repair was stopped on request: what was made again stays, the rest is as it was.");
        if (!wanted.isIn(chain)) continue;
        const reader = archive.chain(chain);
        const isWanted = ({ start, end, error }: DamagedPart): boolean =>
          wanted.end === null
            ? error.context["key"] === target || start === wanted.start
            : start < wanted.end && end > wanted.start;
        const parts = (await damagedParts(store, reader)).filter(isWanted);
        if (parts.length === 0) continue;
        const beforeOthers = (): Promise<void> => deleteCheckpoints(store);
        const done = repair === null ? null : await repairParts(reader, parts, { ...repair, beforeOthers });
        ranges.push(...parts.map((part) => rangeOf(chain, part, done, manifests)));
      }
    });
  }
  if (ranges.length === 0) {
    throw new SluiceError(
      "E_USAGE",
      `Expected something damaged ${target === null ? "in the archive" : `in ${target}`}, found nothing there that is not as it was written, or that is not declared lost. ` +
        "`sluice archive verify` names what is damaged.",
    );
  }
  return ranges;
}

async function deleteCheckpoints(store: Store): Promise<void> {
  for await (const { key } of store.list(keys.allCheckpoints)) await store.delete(key);
}

function rangeOf(
  chain: ChainName,
  part: DamagedPart,
  done: readonly RepairedPart[] | null,
  manifests: readonly Manifest[],
): RepairedRange {
  const { start, end, needsRows, error } = part;
  const made = done?.find((one) => one.part === part);
  const versions = manifests
    .filter(({ teacher, provenance }) => teacher.digest === chain.teacher && provenance.stream === chain.stream)
    .filter(({ provenance }) => endIn(provenance.frontier, chain) > start)
    .map((one) => `${one.dataset}/${one.number}`);
  const outcome = { from: made?.from ?? null, isSame: made?.isSame ?? null };
  return { chain, start, end, needsRows, ...outcome, damage: error.message, versions };
}
