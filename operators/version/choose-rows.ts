import type { LeftOut } from "../../schemas/left-out.js";
import { LeftOutRows, type LeavingOut, type RowHashes } from "../select/left-out-rows.js";
import type { SpanState } from "../topk/dataset-state.js";
import type { PlacedClass, PlacedRows } from "../select/placed-rows.js";
import type { Retractions } from "../select/retractions.js";
import { choose, choosesByClass, repeated, type Policy, type RankedList } from "../select/selection.js";
import type { TopkRows } from "../topk/topk.js";
import type { ClassEntries } from "./chosen-rows.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { MeetingImages } from "./other-scores.js";

export interface ChooseOptions {
  readonly policy: Policy & { readonly repeat: boolean };
  /** K of each class, [L] */
  readonly k: Int32Array;
  readonly retractions: Retractions;
  /** Images that people placed in classes; null: none */
  readonly placed?: PlacedRows | null | undefined;
  /** The same state with lists of at least `depth` rows a class, [L], read from the archive alone */
  readonly deeper: (depth: Int32Array) => Promise<SpanState>;
  /** Which images are left out although they rank; null: none */
  readonly leaveOut: LeaveOut | null;
}

/** Near duplicates and guarded images, and how the hashes of ranked images are read. */
export interface LeaveOut extends Omit<LeavingOut, "meets"> {
  /** Which images meet what is asked of other teachers' scores; null: nothing is asked */
  readonly meeting: MeetingImages | null;
  readonly hashes: (lists: readonly TopkRows[]) => Promise<readonly RowHashes[]>;
}

/** How much longer a list is read where it was too short to tell: a pass over the archive costs more than memory. */
const DEEPER = 4;
/** The deepest list that a state can be asked for */
const DEEPEST = 2 ** 29;

/** What of a class is chosen: how many rows, and the rows themselves when they are asked for. */
export interface ChosenClass {
  readonly class: number;
  readonly count: number;
  readonly entries: () => ClassEntries;
  /** Whether a row is there because somebody said so */
  readonly isByLabel: (row: number) => boolean;
}

/**
 * Chooses a version's rows from a state, without retracted images: the reserve takes their places. Where its lists, which
 * end at K + R, are too short to choose exactly, longer ones are read from the archive.
 */
export async function chooseRows(state: SpanState, options: ChooseOptions): Promise<ChosenClass[]> {
  const { policy, leaveOut } = options;
  const kept = state.topk.kept.slice();
  for (let from = state; ;) {
    const choice =
      choosesByClass(policy) && leaveOut === null
        ? chooseEach(from, options, kept)
        : await chooseFromLists(from, options, kept);
    if (choice.short === null) return choice.chosen;
    const depth = from.topk.kept.slice();
    for (const index of choice.short) depth[index] = choice.deeper(index);
    from = await options.deeper(depth);
  }
}

type Choice =
  | { readonly chosen: ChosenClass[]; readonly short: null }
  | { readonly short: readonly number[]; readonly deeper: (classIndex: number) => number };

/** Each class for itself: lists of classes of whose images nobody said anything are not even looked into. */
function chooseEach({ topk }: SpanState, options: ChooseOptions, kept: Int32Array): Choice {
  const { policy, k, retractions } = options;
  const short: number[] = [];
  const chosen = [...topk.counts()].map((count, index) => {
    const wanted = k[index]!;
    const placed = options.placed?.of(index) ?? null;
    if (retractions.counts[index] === 0 && placed === null) {
      const of = { index, k: wanted, repeat: policy.repeat, count: Math.min(count, wanted) };
      return chosenClass(of, null, () => topk.rows(index, wanted));
    }
    const { rows, places } = standingList(topk.rows(index), index, options, wanted);
    if (rows.count < wanted && count === topk.kept[index]) short.push(index);
    const of = {
      index,
      k: wanted,
      repeat: policy.repeat,
      count: rows.count,
      deep: deepPlaces(places, kept[index]!),
      placed,
    };
    return chosenClass(of, null, () => standingList(topk.rows(index), index, options, wanted).rows);
  });
  if (short.length === 0) return { chosen, short: null };
  // A list that is longer than wanted by all that is retracted is certainly long enough.
  const deeper = (index: number): number =>
    Math.min(DEEPEST, topk.kept[index]! * DEEPER, k[index]! + retractions.counts[index]!);
  return { short, deeper };
}

/** What is chosen of a class depends on the others, or on what its images are like. */
async function chooseFromLists({ topk }: SpanState, options: ChooseOptions, kept: Int32Array): Promise<Choice> {
  const { policy, k, retractions, leaveOut } = options;
  const standing = [...topk.counts()].map((count, index) => {
    const all = topk.rows(index);
    const complete = count < topk.kept[index]!;
    if (retractions.counts[index] === 0 && options.placed?.of(index) == null)
      return { rows: all, places: null, complete };
    return { ...standingList(all, index, options, Number.POSITIVE_INFINITY), complete };
  });
  const lists = standing.map(({ rows, complete }) => ({ ...rows, complete })) satisfies RankedList[];
  const leftOut = leaveOut === null ? null : await leftOutRows(lists, leaveOut, k);
  const { rows, short } = choose(lists, k, policy, leftOut);
  if (rows === null) return { short, deeper: (index) => Math.min(DEEPEST, topk.kept[index]! * DEEPER) };
  const chosen = rows.map((places, index) => {
    const inList = standing[index]!.places;
    const deep = deepPlaces(inList === null ? places : places.map((place) => inList[place]!), kept[index]!);
    const of = {
      index,
      k: k[index]!,
      repeat: policy.repeat,
      count: places.length,
      deep,
      leftOut: leftOut?.found[index],
      placed: options.placed?.of(index) ?? null,
    };
    return chosenClass(of, places, () => lists[index]!);
  });
  return { chosen, short: null };
}

async function leftOutRows(lists: readonly TopkRows[], leaveOut: LeaveOut, k: Int32Array): Promise<LeftOutRows> {
  const hashes = await leaveOut.hashes(lists);
  if (leaveOut.meeting === null) return new LeftOutRows(hashes, leaveOut, k);
  const digests = new Set<string>();
  for (const { digest } of hashes)
    for (let at = 0; at < digest.length; at += DIGEST_BYTES)
      digests.add(Buffer.from(digest.buffer, digest.byteOffset + at, DIGEST_BYTES).toString("hex"));
  return new LeftOutRows(hashes, { ...leaveOut, meets: await leaveOut.meeting(digests) }, k);
}

/** The place of an image that people placed: it may be in no list */
const PLACED = -1;

/** 1 for places behind what a state of the dataset keeps, and for images that it may not keep at all; nothing where there is none. */
function deepPlaces(places: Int32Array, kept: number): Uint8Array | undefined {
  const isDeep = (place: number): boolean => place >= kept || place === PLACED;
  return places.some(isDeep) ? Uint8Array.from(places, (place) => (isDeep(place) ? 1 : 0)) : undefined;
}

/**
 * The first `most` images of a class: those that people placed there, then its rows whose images are neither retracted nor placed, with their places among
 * the class's rows.
 */
export function standingList(
  all: TopkRows,
  classIndex: number,
  { retractions, placed }: Pick<ChooseOptions, "retractions" | "placed">,
  most: number,
): { readonly rows: TopkRows; readonly places: Int32Array } {
  const first = placed?.of(classIndex) ?? null;
  const before = Math.min(most, first?.count ?? 0);
  const places = new Int32Array(before + Math.min(all.count, most - before)).fill(PLACED, 0, before);
  let taken = before;
  for (let row = 0; row < all.count && taken < places.length; row++) {
    if (retractions.has(classIndex, all.identity, 4 * row) || first?.has(all.identity, 4 * row) === true) continue;
    places[taken++] = row;
  }
  const own = rowsAt(all, places.subarray(before, taken));
  return { rows: first === null ? own : first.before(own, before), places: places.subarray(0, taken) };
}

interface ChosenOf {
  readonly index: number;
  readonly k: number;
  readonly repeat: boolean;
  readonly count: number;
  readonly deep?: Uint8Array | undefined;
  readonly leftOut?: readonly LeftOut[] | undefined;
  /** Stand before all others in the list that is chosen from */
  readonly placed?: PlacedClass | null;
}

/** `chosen`: places in `rows`; null: the first `count`, and there are no more. */
function chosenClass(
  { index, k, repeat, count, deep, leftOut, placed = null }: ChosenOf,
  chosen: Int32Array | null,
  rows: () => TopkRows,
): ChosenClass {
  const plain = chosen === null && !(repeat && count < k) && deep === undefined && placed === null;
  // Only the first of what is chosen: near duplicates and guarded images among them are left out.
  const isPlaced = (place: number): boolean => place < (placed?.count ?? 0);
  const placeOf = (row: number): number => (chosen === null ? row % count : chosen[row % count]!);
  return {
    class: index,
    count: repeat && count > 0 ? Math.max(k, count) : count,
    isByLabel: (row) => isPlaced(placeOf(row)),
    entries: () => {
      const all = rows();
      if (plain) return { class: index, rows: all, repeat: new Uint32Array(count) };
      const first = chosen ?? Int32Array.from({ length: count }, (_, place) => place);
      const { places, repeat: times } = repeat
        ? repeated(first, k)
        : { places: first, repeat: new Uint32Array(first.length) };
      const isDeep = deep === undefined ? undefined : Uint8Array.from(times, (_, row) => deep[row % deep.length]!);
      const found = { class: index, rows: rowsAt(all, places), repeat: times, deep: isDeep, leftOut };
      if (placed === null) return found;
      // What went before all others has its own key again.
      const keys = found.rows.keys.map((key, row) => (isPlaced(places[row]!) ? placed.keys[places[row]!]! : key));
      return {
        ...found,
        rows: { ...found.rows, keys },
        byLabel: Uint8Array.from(places, (place) => (isPlaced(place) ? 1 : 0)),
        probability: keys.map((key, row) =>
          isPlaced(places[row]!) ? placed.probability[places[row]!]! : Math.exp(key),
        ),
      };
    },
  };
}

/** The rows at some places, in their order. */
export function rowsAt(rows: TopkRows, places: Int32Array): TopkRows {
  const identity = new Uint32Array(4 * places.length);
  places.forEach((place, row) => {
    identity.set(rows.identity.subarray(4 * place, 4 * place + 4), 4 * row);
  });
  return {
    count: places.length,
    keys: Float64Array.from(places, (place) => rows.keys[place]!),
    identity,
    partition: Uint16Array.from(places, (place) => rows.partition[place]!),
    offset: Float64Array.from(places, (place) => rows.offset[place]!),
  };
}
