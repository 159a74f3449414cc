import type { ChainClaim } from "../../schemas/chain-claim.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import { reserveOf } from "../../schemas/dataset.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { LabelFrontier, LabelSegment } from "../../schemas/image-label.js";
import type { ChainName } from "../../schemas/keys.js";
import { packOfRow } from "../../schemas/pack.js";
import type { Where } from "../../schemas/where.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { classesLeft } from "../operators/version/selection-model.js";
import { decodeSegment, type Segment, type SegmentHeader } from "../../schemas/segment.js";

/** One archived row, as plain values. */
export interface ArchivedRow {
  readonly sha256: string;
  readonly partition: number;
  readonly offset: number;
  readonly eventTimeMs: number;
  readonly copied: boolean;
  readonly bytes: number;
  /** Whole name */
  readonly pack: string | null;
  readonly licence: string | null;
  readonly origin: string | null;
  readonly retryOf: number;
  readonly classes: readonly number[];
  readonly keys: readonly number[];
}

export interface ArchivedSegment {
  readonly key: string;
  readonly header: SegmentHeader;
  readonly rows: readonly ArchivedRow[];
}

export interface ArchivedChain {
  readonly teacher: string;
  readonly partition: number;
  readonly origin: number;
  /** In the order of their starts */
  readonly segments: readonly ArchivedSegment[];
}

/** All that the archive has, read without any of the code that follows chains. */
export function readArchive(objects: ReadonlyMap<string, Uint8Array>): ArchivedChain[] {
  const chains = new Map<string, ArchivedSegment[]>();
  for (const key of [...objects.keys()].filter((name) => name.endsWith(".arrow")).sort()) {
    const folder = key.slice(0, key.lastIndexOf("/"));
    const segments = chains.get(folder) ?? [];
    chains.set(folder, segments);
    segments.push(readSegment(key, objects.get(key)!));
  }
  return [...chains.values()].map((segments) => {
    const { teacher, partition, origin } = segments[0]!.header;
    return { teacher, partition, origin, segments };
  });
}

/** Where a partition's live chain begins; null before anybody has said so. */
export function liveOrigin(
  objects: ReadonlyMap<string, Uint8Array>,
  archive: { readonly teacher: string; readonly stream: string },
  partition: number,
): number | null {
  return readAllClaims(objects, archive).find((one) => one.partition === partition && one.end === null)?.origin ?? null;
}

/** What one teacher's claims say of its chains. */
export function readAllClaims(
  objects: ReadonlyMap<string, Uint8Array>,
  { teacher, stream }: { readonly teacher: string; readonly stream: string },
): ChainClaim[] {
  const keys = [...objects.keys()].filter((key) => key.includes(`${teacher}/${stream}/claims/`)).sort();
  return keys.flatMap(
    (key) => (JSON.parse(Buffer.from(objects.get(key)!).toString()) as { chains: ChainClaim[] }).chains,
  );
}

export function readSegment(key: string, bytes: Uint8Array): ArchivedSegment {
  return plainSegment(key, decodeSegment(bytes, key));
}

export function plainSegment(key: string, { header, batch }: Segment): ArchivedSegment {
  const { topM } = batch;
  const rows = Array.from({ length: batch.count }, (_, row) => ({
    sha256: Buffer.from(batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES)).toString("hex"),
    partition: batch.partition[row]!,
    offset: Number(batch.offset[row]!),
    eventTimeMs: Number(batch.eventTimeMs[row]!),
    copied: batch.copied[row] === 1,
    bytes: batch.bytes[row]!,
    pack: wholeName(batch.pack.get(row), header),
    licence: batch.licence.get(row),
    origin: batch.origin.get(row),
    retryOf: Number(batch.retryOf[row]!),
    classes: [...batch.classes.subarray(row * topM, (row + 1) * topM)],
    keys: [...batch.keys.subarray(row * topM, (row + 1) * topM)],
  }));
  return { key, header, rows };
}

export function wholeName(pack: string | null, chain: ChainName): string | null {
  return pack === null ? null : packOfRow(pack, chain);
}

export interface RankedRow {
  readonly sha256: string;
  readonly key: number;
  readonly partition: number;
  readonly offset: number;
}

/** The segments of a frontier's chains below its ends. */
export function segmentsBelow(chains: readonly ArchivedChain[], frontier: Frontier): ArchivedSegment[] {
  return frontier.flatMap(({ partition, origin, end }) =>
    chains
      .filter((chain) => chain.partition === partition && chain.origin === origin)
      .flatMap(({ segments }) => segments.filter(({ header }) => header.end <= end)),
  );
}

/** The label segments of a store, partition after partition, read without any of the code that follows them. */
export function readLabels(objects: ReadonlyMap<string, Uint8Array>): LabelSegment[] {
  const keys = [...objects.keys()].filter((key) => key.startsWith("labels/"));
  const segments = keys.map((key) => JSON.parse(Buffer.from(objects.get(key)!).toString()) as LabelSegment);
  return segments.sort((a, b) => a.partition - b.partition || a.start - b.start);
}

/** Whether an image may be of a class, after the labels below a frontier. */
export function standing(
  labels: readonly LabelSegment[],
  frontier: LabelFrontier,
  classNames: readonly string[],
): (sha256: string, classIndex: number) => boolean {
  const below = labels.filter(({ partition, end }) =>
    frontier.some((one) => one.partition === partition && end <= one.end),
  );
  const said = below
    .flatMap((segment) => segment.labels)
    .map((label) => ({
      image: label.sha256,
      verdict: label.verdict === "erased" || label.verdict === "duplicate" ? ("none" as const) : label.verdict,
      class: "class" in label ? classNames.indexOf(label.class) : -1,
    }));
  const all = below.flatMap((segment) => segment.labels);
  const erased = new Set(all.flatMap(({ verdict, sha256 }) => (verdict === "erased" ? [sha256] : [])));
  return (sha256, classIndex) => !erased.has(sha256) && classesLeft(sha256, said, classNames.length).has(classIndex);
}

/** The class that an image is said to be of, after the labels below a frontier; null: of none, or nobody said. */
export function placedBy(
  labels: readonly LabelSegment[],
  frontier: LabelFrontier,
  classNames: readonly string[],
): (sha256: string) => number | null {
  const below = labels
    .filter(({ partition, end }) => frontier.some((one) => one.partition === partition && end <= one.end))
    .flatMap((segment) => segment.labels);
  const erased = new Set(below.flatMap(({ verdict, sha256 }) => (verdict === "erased" ? [sha256] : [])));
  return (sha256) => {
    if (erased.has(sha256)) return null;
    const said = below.filter((label) => label.sha256 === sha256);
    const last = said[said.findLastIndex(({ verdict }) => verdict !== "not")];
    if (last?.verdict !== "is") return null;
    const isDenied = said
      .slice(said.indexOf(last))
      .some((label) => label.verdict === "not" && label.class === last.class);
    return isDenied ? null : classNames.indexOf(last.class);
  };
}

/** Of each class all images of some segments in the span that somebody said are of it, by digest: the rows that stand before the others. */
export function placedRows(
  segments: readonly ArchivedSegment[],
  span: Span,
  { select }: Pick<Dataset, "select">,
  classCount: number,
  placed: (sha256: string) => number | null,
): PlacedRow[][] {
  return Array.from({ length: classCount }, (_, wanted) => {
    const found = new Map<string, PlacedRow>();
    for (const { rows } of segments) {
      for (const row of rows) {
        const { sha256, partition, offset, eventTimeMs, classes, keys } = row;
        const isIn =
          (span.startMs === null || eventTimeMs >= span.startMs) && (span.endMs === null || eventTimeMs < span.endMs);
        if (!isIn || placed(sha256) !== wanted || !isAskedFor(row, select.where)) continue;
        const at = classes.indexOf(wanted);
        const placedRow = { sha256, key: at < 0 ? null : keys[at]!, partition, offset };
        const seen = found.get(sha256);
        const orderOf = ({ key, ...place }: PlacedRow): RankedRow => ({
          ...place,
          key: key ?? Number.NEGATIVE_INFINITY,
        });
        if (seen === undefined || isEarlier(orderOf(placedRow), orderOf(seen))) found.set(sha256, placedRow);
      }
    }
    return [...found.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  });
}

/** A row that somebody placed: without a key where the teacher did not archive the class. */
export interface PlacedRow extends Omit<RankedRow, "key"> {
  readonly key: number | null;
}

/** Whether a row has what is asked of licence and origin; the simulation asks for nothing else. */
function isAskedFor(row: Pick<ArchivedRow, "licence" | "origin">, where: Where | undefined): boolean {
  return (["licence", "origin"] as const).every((name) => {
    const condition = where?.[name];
    if (condition === undefined) return true;
    const isOne = (list: readonly (string | null)[]): boolean =>
      list.some((one) => one === row[name] || (one?.endsWith("*") === true && row[name]?.startsWith(one.slice(0, -1))));
    return "not" in condition ? !isOne(condition.not) : isOne(condition);
  });
}

/** Sorts everything of some segments that lies in the span: each class's best `most` that are `standing`. */
export function sortEverything(
  segments: readonly ArchivedSegment[],
  { select }: Pick<Dataset, "select">,
  span: Span,
  most: number,
  classCount: number,
  isStanding: (sha256: string, classIndex: number) => boolean = () => true,
): RankedRow[][] {
  const floorKey = Math.log(select.floor);
  return Array.from({ length: classCount }, (_, wanted) => {
    const best = new Map<string, RankedRow>();
    for (const { rows } of segments) {
      for (const { sha256, partition, offset, eventTimeMs, classes, keys, ...said } of rows) {
        if (!isAskedFor(said, select.where)) continue;
        if (
          (span.startMs !== null && eventTimeMs < span.startMs) ||
          (span.endMs !== null && eventTimeMs >= span.endMs)
        ) {
          continue;
        }
        const at = classes.slice(0, select.p).indexOf(wanted);
        if (at < 0 || keys[at]! < floorKey) continue;
        const row = { sha256, key: keys[at]!, partition, offset };
        const seen = best.get(sha256);
        if (seen === undefined || isEarlier(row, seen)) best.set(sha256, row);
      }
    }
    return [...best.values()]
      .filter(({ sha256 }) => isStanding(sha256, wanted))
      .sort((a, b) => b.key - a.key || (a.sha256 < b.sha256 ? -1 : 1))
      .slice(0, most);
  });
}

/** The recorded occurrence: the greatest score, then the lowest place. */
function isEarlier(a: RankedRow, b: RankedRow): boolean {
  return (
    a.key > b.key ||
    (a.key === b.key && (a.partition < b.partition || (a.partition === b.partition && a.offset < b.offset)))
  );
}

/** Ranks down to which the bytes of a dataset's images are promised: K + R */
export function promisedRanks(dataset: Dataset): number {
  if (typeof dataset.select.k !== "number") throw new RangeError("the simulation declares one K");
  return dataset.select.k + reserveOf(dataset);
}
