import { keys, type ChainName } from "../../schemas/keys.js";
import { SluiceError } from "../../schemas/errors.js";
import type { RunBody, RunHead, RunRowGroup } from "../../schemas/run.js";
import { SEGMENT_VERSION, type RecordCounts, type SegmentHeader } from "../../schemas/segment.js";

export const NO_RECORDS: RecordCounts = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };

/** A row group and the file that it lies in. */
export interface PlacedGroup {
  readonly group: RunRowGroup;
  /** The Parquet file */
  readonly key: string;
}

/** One run's index: what each of its segments was, and where its rows are. Segments are named by their number in it. */
export class RunIndex {
  readonly head: RunHead;
  readonly body: RunBody;
  /** Row group of each segment, -1 of those without rows; and where its rows begin in it */
  readonly #groups: Int32Array;
  readonly #firstRows: Int32Array;
  readonly #rejected = new Map<number, RunBody["rejected"][number][1][]>();
  readonly #retried = new Map<number, number[]>();
  readonly #lostReasons: ReadonlyMap<number, string>;

  constructor(head: RunHead, body: RunBody) {
    this.head = head;
    this.body = body;
    this.#groups = new Int32Array(head.segments).fill(-1);
    this.#firstRows = new Int32Array(head.segments);
    body.rowGroups.forEach(({ first, segments }, group) => {
      for (let at = first, row = 0; at < first + segments; at++) {
        if (this.rowsOf(at) === 0) continue;
        this.#groups[at] = group;
        this.#firstRows[at] = row;
        row += this.rowsOf(at);
      }
    });
    for (const [at, one] of body.rejected) pushTo(this.#rejected, at, one);
    for (const [at, offset] of body.retried) pushTo(this.#retried, at, offset);
    this.#lostReasons = new Map(body.lostReasons);
  }

  get chain(): ChainName {
    const { teacher, stream, partition, origin } = this.head;
    return { teacher, stream, partition, origin };
  }

  /** Segments */
  get count(): number {
    return this.head.segments;
  }

  get rowGroups(): readonly RunRowGroup[] {
    return this.body.rowGroups;
  }

  startOf(at: number): number {
    return at === 0 ? this.head.start : this.body.segments.end[at - 1]!;
  }

  endOf(at: number): number {
    return this.body.segments.end[at]!;
  }

  rowsOf(at: number): number {
    const { scored, copied } = this.body.segments;
    return scored[at]! + copied[at]!;
  }

  /** The segment that an offset of the run lies in */
  holding(offset: number): number {
    const { end } = this.body.segments;
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
    const { segments } = this.body;
    const [scored, copied, quarantined, lost] = [
      segments.scored[at]!,
      segments.copied[at]!,
      segments.quarantined[at]!,
      segments.lost[at]!,
    ];
    return { in: scored + copied + quarantined + lost, scored, copied, quarantined, lost };
  }

  watermarkOf(at: number): number | null {
    return this.body.segments.watermarkMs[at]!;
  }

  /** Records of the chain up to the end of the run's first `segments` segments */
  totalsTo(segments: number): RecordCounts {
    let sum = this.head.before;
    for (let at = 0; at < segments; at++) sum = sumOfCounts(sum, this.countsOf(at));
    return sum;
  }

  /** The header that the segment had. */
  headerOf(at: number): SegmentHeader {
    const { segments, engines, codeVersions, keepers } = this.body;
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
    };
  }

  /** Number of the row group that has a segment's rows; -1 where it has none */
  groupOf(at: number): number {
    return this.#groups[at]!;
  }

  group(number: number): PlacedGroup {
    const group = this.body.rowGroups[number]!;
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

/** Collects consecutive segments into a run's body. */
export class RunBodyBuilder {
  readonly #engines = new Table<RunBody["engines"][number]>();
  readonly #codeVersions = new Table<string>();
  readonly #keepers = new Table<RunBody["keepers"][number]>();
  readonly #body: Omit<RunBody, "engines" | "codeVersions" | "keepers"> = {
    rowGroups: [],
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
  };
  counts: RecordCounts = NO_RECORDS;
  watermarkMs: number | null = null;

  /** Segments so far */
  get count(): number {
    return this.#body.segments.end.length;
  }

  add(header: SegmentHeader): void {
    const { segments, lostReasons, rejected, retried } = this.#body;
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
    this.counts = sumOfCounts(this.counts, header.counts);
    this.watermarkMs = header.watermarkMs;
  }

  addGroup(group: RunRowGroup): void {
    this.#body.rowGroups.push(group);
  }

  get body(): RunBody {
    return {
      engines: this.#engines.values,
      codeVersions: this.#codeVersions.values,
      keepers: this.#keepers.values,
      ...this.#body,
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
