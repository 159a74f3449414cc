import type { ByteRun } from "./byte-run.js";
import { BLOCK_BYTES, numberAt, type PaxRecords } from "./tar-header.js";

/** Bytes of a sparse file that are there: `sizeBytes` of them belong at `offset`. Between them are zeros. */
export interface Extent {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface SparseMap {
  readonly extents: readonly Extent[];
  /** Of the whole file, with its zeros */
  readonly fileBytes: number;
}

/** A file with more pieces than this is no picture. */
const MOST_EXTENTS = 1_000_000;

/** GNU's own kind: four pieces in the header, more of them in blocks that follow it. */
export async function gnuMap(header: Buffer, run: ByteRun): Promise<SparseMap> {
  const extents = extentsIn(header, 386, 4);
  const block = Buffer.alloc(BLOCK_BYTES);
  let goesOn = header[482] !== 0;
  while (goesOn) {
    if ((await run.fill(block)) < BLOCK_BYTES) throw new Error("the map of a sparse member breaks off");
    extents.push(...extentsIn(block, 0, 21));
    if (extents.length > MOST_EXTENTS) throw new Error("the map of a sparse member has no end");
    goesOn = block[504] !== 0;
  }
  return checked(extents, numberAt(header, 483, 12));
}

function extentsIn(block: Buffer, from: number, count: number): Extent[] {
  return Array.from({ length: count }, (_, index) => ({
    offset: numberAt(block, from + index * 24, 12),
    sizeBytes: numberAt(block, from + index * 24 + 12, 12),
  })).filter(({ offset, sizeBytes }) => offset !== 0 || sizeBytes !== 0);
}

/**
 * The map of pax 0.0 (repeated records), 0.1 (one record) or 1.0 (text before the member's bytes, read from `run`); null
 * for a member that is not sparse.
 */
export async function paxMap(records: PaxRecords, run: ByteRun): Promise<SparseMap | null> {
  const valueOf = (key: string): string | undefined => records.findLast(([each]) => each === `GNU.sparse.${key}`)?.[1];
  const fileBytes = Number(valueOf("realsize") ?? valueOf("size") ?? NaN);
  if (valueOf("major") === "1") return checked(await extentsBefore(run), fileBytes);
  const list = valueOf("map");
  if (list !== undefined) return checked(pairs(list === "" ? [] : list.split(",").map(Number)), fileBytes);
  if (valueOf("size") === undefined) return null;
  const numbers = records.filter(([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes");
  return checked(pairs(numbers.map(([, value]) => Number(value))), fileBytes);
}

/** Lines of decimal numbers: how many pieces, then offset and size of each, in whole blocks. */
async function extentsBefore(run: ByteRun): Promise<Extent[]> {
  const numbers: number[] = [];
  const block = Buffer.alloc(BLOCK_BYTES);
  let rest = "";
  for (;;) {
    if ((await run.fill(block)) < BLOCK_BYTES) throw new Error("the map of a sparse member breaks off");
    const lines = (rest + block.toString("latin1")).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      numbers.push(Number(line));
      const [count] = numbers;
      if (!(count! <= MOST_EXTENTS)) throw new Error("the map of a sparse member has no end");
      if (numbers.length === 1 + 2 * count!) return pairs(numbers.slice(1));
    }
  }
}

function pairs(numbers: readonly number[]): Extent[] {
  const extents: Extent[] = [];
  for (let at = 0; at + 1 < numbers.length; at += 2) {
    extents.push({ offset: numbers[at]!, sizeBytes: numbers[at + 1]! });
  }
  return extents;
}

function checked(extents: readonly Extent[], fileBytes: number): SparseMap {
  let end = 0;
  for (const { offset, sizeBytes } of extents) {
    if (!(offset >= end && sizeBytes >= 0)) throw new Error("the map of a sparse member contradicts itself");
    end = offset + sizeBytes;
  }
  if (!(end <= fileBytes)) throw new Error("the map of a sparse member contradicts itself");
  return { extents, fileBytes };
}
