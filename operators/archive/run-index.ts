import { keys, type ChainName } from "../../schemas/keys.js";
import { SluiceError } from "../../schemas/errors.js";
import type { RunBlock, RunHead, RunRowGroup } from "../../schemas/run.js";
import { packText } from "../../schemas/pack.js";
import { SEGMENT_VERSION, type RecordCounts, type SegmentHeader } from "../../schemas/segment.js";

export const NO_RECORDS: RecordCounts = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };

/** A row group and the file that it lies in. */
export interface PlacedGroup {
  readonly group: RunRowGroup;
  /** The Parquet file */
  readonly key: string;
}

/** So many segments are one line of a run's index: what is read to know of one of them. */
export const BLOCK_SEGMENTS = 256;

/**
 * A part of a run's index, one line of it: what each of so many segments was, and where its rows are. Segments are named by their number in it.
 */
export class RunIndex {
  readonly head: RunHead;
  readonly block: RunBlock;
  /** Row group of each segment, -1 of those without rows; and where its rows begin in it */
  readonly #groups: Int32Array;
  readonly #firstRows: Int32Array;
  readonly #rejected = new Map<number, RunBlock["rejected"][number][1][]>();
  readonly #retried = new Map<number, number[]>();
  readonly #lostReasons: ReadonlyMap<number, string>;
  readonly #packs: ReadonlyMap<number, string>;

  constructor(head: RunHead, block: RunBlock) {
    this.head = head;
    this.block = block;
    this.#groups = new Int32Array(this.count).fill(-1);
    this.#firstRows = new Int32Array(this.count);
    block.rowGroups.forEach(({ first, segments }, group) => {
      for (let at = first, row = 0; at < first + segments; at++) {
        if (this.rowsOf(at) === 0) continue;
        this.#groups[at] = group;
        this.#firstRows[at] = row;
        row += this.rowsOf(at);
      }
    });
    for (const [at, one] of block.rejected) pushTo(this.#rejected, at, one);
    for (const [at, offset] of block.retried) pushTo(this.#retried, at, offset);
    this.#lostReasons = new Map(block.lostReasons);
    this.#packs = new Map(block.packs);
  }

  get chain(): ChainName {
    const { teacher, stream, partition, origin } = this.head;
    return { teacher, stream, partition, origin };
  }

  /** Segments */
  get count(): number {
    return this.block.segments.end.length;
  }

  /** Offsets [start, end) */
  get start(): number {
    return this.block.start;
  }

  get end(): number {
    return this.block.segments.end.at(-1)!;
  }

  get rowGroups(): readonly RunRowGroup[] {
    return this.block.rowGroups;
  }

  startOf(at: number): number {
    return at === 0 ? this.start : this.block.segments.end[at - 1]!;
  }

  endOf(at: number): number {
    return this.block.segments.end[at]!;
  }

  rowsOf(at: number): number {
    const { scored, copied } = this.block.segments;
    return scored[at]! + copied[at]!;
  }

  /** The segment that an offset lies in */
  holding(offset: number): number {
    const { end } = this.block.segments;
    let low = 0;
    let high = end.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (end[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The segment that starts at an offset. Throws E_CHAIN_CONFLICT where none does. */
  startingAt(offset: number): number {
    const at = this.holding(offset);
    if (at < this.count && this.startOf(at) === offset) return at;
    const { stream, partition } = this.head;
    throw new SluiceError(
      "E_CHAIN_CONFLICT",
      `Expected a segment of ${stream}/${partition} to start at ${offset}, found [${this.startOf(at)}, ${this.endOf(at)}). ` +
        "The frontier is not a segment boundary of this chain.",
    );
  }

  countsOf(at: number): RecordCounts {
    const { segments } = this.block;
    const [scored, copied, quarantined, lost] = [
      segments.scored[at]!,
      segments.copied[at]!,
      segments.quarantined[at]!,
      segments.lost[at]!,
    ];
    return { in: scored + copied + quarantined + lost, scored, copied, quarantined, lost };
  }

  watermarkOf(at: number): number | null {
    return this.block.segments.watermarkMs[at]!;
  }

  /** Records of the chain up to the end of the first `segments` segments */
  totalsTo(segments: number): RecordCounts {
    let sum = this.block.before;
    for (let at = 0; at < segments; at++) sum = sumOfCounts(sum, this.countsOf(at));
    return sum;
  }

  /** Whole name of the pack that the segment of a row of a group wrote; null where it wrote none. */
  packOfRow(group: number, row: number): string | null {
    const { first, segments } = this.rowGroups[group]!;
    let at = first;
    for (let other = first; other < first + segments; other++)
      if (this.#groups[other] === group && this.#firstRows[other]! <= row) at = other;
    const attempt = this.#packs.get(at);
    return attempt === undefined ? null : packText({ chain: this.chain, start: this.startOf(at), attempt });
  }

  /** The header that the segment had. */
  headerOf(at: number): SegmentHeader {
    const { segments, engines, codeVersions, keepers } = this.block;
    return {
      schemaVersion: SEGMENT_VERSION,
      ...this.chain,
      start: this.startOf(at),
      end: this.endOf(at),
      counts: this.countsOf(at),
      watermarkMs: this.watermarkOf(at),
      engine: engines[segments.engine[at]!]!,
      codeVersion: codeVersions[segments.codeVersion[at]!]!,
      lostReason: this.#lostReasons.get(at) ?? null,
      keepers: keepers[segments.keepers[at]!]!,
      rejected: this.#rejected.get(at) ?? [],
      retried: this.#retried.get(at) ?? [],
      pack: this.#packs.get(at) ?? null,
    };
  }

  /** Number of the row group that has a segment's rows; -1 where it has none */
  groupOf(at: number): number {
    return this.#groups[at]!;
  }

  group(number: number): PlacedGroup {
    const group = this.block.rowGroups[number]!;
    return { group, key: this.head.files[group.file]!.key };
  }

  /** Where a segment's rows begin in its row group */
  firstRowOf(at: number): number {
    return this.#firstRows[at]!;
  }

  get key(): string {
    return keys.runIndex(this.chain, this.head.start, this.head.level);
  }
}

function pushTo<T>(lists: Map<number, T[]>, at: number, value: T): void {
  const list = lists.get(at);
  if (list === undefined) lists.set(at, [value]);
  else list.push(value);
}

export function sumOfCounts(a: RecordCounts, b: RecordCounts): RecordCounts {
  return {
    in: a.in + b.in,
    scored: a.scored + b.scored,
    copied: a.copied + b.copied,
    quarantined: a.quarantined + b.quarantined,
    lost: a.lost + b.lost,
  };
}

/** Collects consecutive segments into the lines of a run's index. */
export class RunBlocksBuilder {
  readonly blocks: RunBlock[] = [];
  readonly #before: RecordCounts;
  #open: OpenBlock | null = null;
  #end: number;
  segments = 0;
  counts: RecordCounts = NO_RECORDS;
  watermarkMs: number | null = null;

  /** `before`: records of the chain below `start`. */
  constructor(start: number, before: RecordCounts) {
    this.#end = start;
    this.#before = before;
  }

  /** Of the segment that is added next, in its block; a row group's segments lie in one block. */
  get next(): number {
    return this.#open?.count ?? 0;
  }

  add(header: SegmentHeader): void {
    this.#open ??= new OpenBlock(this.#end, sumOfCounts(this.#before, this.counts));
    this.#open.add(header);
    this.#end = header.end;
    this.segments++;
    this.counts = sumOfCounts(this.counts, header.counts);
    this.watermarkMs = header.watermarkMs;
  }

  /** To be called for the rows of the segments added since the last one, before a next block begins. */
  addGroup(group: RunRowGroup): void {
    this.#open?.groups.push(group);
  }

  /** Whether no more segments fit into the block. */
  get isFull(): boolean {
    return this.next >= BLOCK_SEGMENTS;
  }

  endBlock(): void {
    if (this.#open !== null) this.blocks.push(this.#open.block);
    this.#open = null;
  }
}

class OpenBlock {
  readonly groups: RunRowGroup[] = [];
  readonly #start: number;
  readonly #before: RecordCounts;
  readonly #engines = new Table<RunBlock["engines"][number]>();
  readonly #codeVersions = new Table<string>();
  readonly #keepers = new Table<RunBlock["keepers"][number]>();
  readonly #rest: Pick<RunBlock, "segments" | "lostReasons" | "rejected" | "retried" | "packs"> = {
    segments: {
      end: [],
      scored: [],
      copied: [],
      quarantined: [],
      lost: [],
      watermarkMs: [],
      engine: [],
      codeVersion: [],
      keepers: [],
    },
    lostReasons: [],
    rejected: [],
    retried: [],
    packs: [],
  };

  constructor(start: number, before: RecordCounts) {
    this.#start = start;
    this.#before = before;
  }

  get count(): number {
    return this.#rest.segments.end.length;
  }

  add(header: SegmentHeader): void {
    const { segments, lostReasons, rejected, retried, packs } = this.#rest;
    const at = this.count;
    segments.end.push(header.end);
    for (const name of ["scored", "copied", "quarantined", "lost"] as const) segments[name].push(header.counts[name]);
    segments.watermarkMs.push(header.watermarkMs);
    segments.engine.push(this.#engines.indexOf(header.engine));
    segments.codeVersion.push(this.#codeVersions.indexOf(header.codeVersion));
    segments.keepers.push(this.#keepers.indexOf(header.keepers));
    if (header.lostReason !== null) lostReasons.push([at, header.lostReason]);
    for (const one of header.rejected) rejected.push([at, one]);
    for (const offset of header.retried) retried.push([at, offset]);
    if (header.pack !== null) packs.push([at, header.pack]);
  }

  get block(): RunBlock {
    return {
      start: this.#start,
      before: this.#before,
      engines: this.#engines.values,
      codeVersions: this.#codeVersions.values,
      keepers: this.#keepers.values,
      rowGroups: this.groups,
      ...this.#rest,
    };
  }
}

/** Distinct values, in the order in which they came. */
class Table<T> {
  readonly values: T[] = [];
  readonly #indexes = new Map<string, number>();

  indexOf(value: T): number {
    const name = JSON.stringify(value);
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    this.#indexes.set(name, this.values.length);
    return this.values.push(value) - 1;
  }
}
