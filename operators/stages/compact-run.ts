import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { ScoredBatch, TextColumn } from "../../schemas/scored-batch.js";
import { encodeStub, STUB_VERSION } from "../../schemas/segment-stub.js";
import type { Segment } from "../../schemas/segment.js";
import { readSegment, readSegmentHead } from "./chain.js";
import { placedSegments } from "./compacted-copies.js";
import { CompactedFile, FILE_START, type PlacedSegment } from "./compacted-file.js";
import { readRowGroup } from "./follow-stub.js";
import { throwIfStopped } from "./throw-if-stopped.js";

/** What E_CANCELLED says here */
export const STOPPED = "Compaction was stopped. Every segment is as it was or compacted whole; run it again to go on.";

/** A segment of the run, [start, end). */
export interface RunSegment {
  readonly start: number;
  readonly end: number;
}

/** A segment that cannot be read, or whose rows are nowhere; it stays as it is. */
export interface RefusedSegment extends RunSegment {
  readonly error: SluiceError;
}

export interface WriteRunOptions {
  readonly store: Store;
  readonly chain: ChainName;
  readonly attempt: string;
  readonly createdMs: number;
  readonly onRefused: (refused: RefusedSegment) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface WrittenRun {
  /** null where no segment of the run could be read */
  readonly file: { readonly key: string; readonly sizeBytes: number; readonly placed: readonly PlacedSegment[] } | null;
  /** Segments of the run that were dealt with; a file ends early before a segment with other columns */
  readonly taken: number;
}

/**
 * Writes one compacted file of a chain's segments, which follow on each other, and reads it back: each row group must be
 * its segment bit for bit. Nothing names the file yet; where this ends early, the next run finds it and takes it up.
 * Corrupt segments are left out and reported. Throws E_STORE_CORRUPT where the store has other bytes than were written,
 * E_CANCELLED when stopped.
 */
export async function writeRun(run: readonly RunSegment[], options: WriteRunOptions): Promise<WrittenRun> {
  const { store, chain, attempt, createdMs, signal } = options;
  let taken = 0;
  const next = async (): Promise<Segment | null> => {
    for (; taken < run.length; taken++) {
      throwIfStopped(signal, STOPPED);
      const segment = await readable(run[taken]!, options);
      if (segment !== null) return segment;
    }
    return null;
  };
  const first = await next();
  if (first === null) return { file: null, taken };
  const file = new CompactedFile(first.batch);
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield FILE_START;
    for (let segment: Segment | null = first; segment !== null && file.fits(segment.batch); segment = await next()) {
      yield file.add(segment.header, segment.batch);
      taken++;
    }
    yield file.end();
  };
  // The name says how far the file reaches at most: which segments are in it stands in the file.
  const { start } = first.header;
  const key = keys.compacted(chain, { start, end: run.at(-1)!.end, createdMs, attempt });
  const { sizeBytes } = await store.putStream(key, chunks());
  try {
    await compare(file.placed, { key, sizeBytes }, options);
  } catch (error) {
    // Whoever slept for a day finds that others have compacted these segments, and swept this copy.
    if (isSluiceError(error, "E_STORE_MISSING") && (await store.head(key)) === null) return { file: null, taken };
    throw error;
  }
  return { file: { key, sizeBytes, placed: file.placed }, taken };
}

async function compare(
  placed: readonly PlacedSegment[],
  { key, sizeBytes }: { readonly key: string; readonly sizeBytes: number },
  { store, chain, signal }: WriteRunOptions,
): Promise<void> {
  // Whatever is found, the file stays: somebody else may have compared it and made stubs that name it.
  const listed = await placedSegments(store, { key, sizeBytes });
  if (JSON.stringify(listed) !== JSON.stringify(placed)) throw differs(key, "its list of segments");
  for (const { header, place } of placed) {
    throwIfStopped(signal, STOPPED);
    const { batch } = await readSegment(store, chain, header.start);
    const difference = differenceOf(batch, await readRowGroup(store, key, place, header));
    if (difference !== null) throw differs(key, `column ${difference} of offsets [${header.start}, ${header.end})`);
  }
}

/** The segment with its rows; null where it is corrupt or gone, which is reported. */
async function readable(
  { start, end }: RunSegment,
  { store, chain, onRefused }: Pick<WriteRunOptions, "store" | "chain" | "onRefused">,
): Promise<Segment | null> {
  try {
    return await readSegment(store, chain, start);
  } catch (error) {
    if (!isSluiceError(error, "E_SEGMENT_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
    onRefused({ start, end, error });
    return null;
  }
}

/**
 * Puts the stub in a segment's place, and returns its size in bytes; null where the rows at the place in the file are not
 * the segment's, or where somebody else has compacted it meanwhile.
 */
export async function putStub(
  store: Store,
  chain: ChainName,
  key: string,
  { header, place }: PlacedSegment,
): Promise<number | null> {
  const head = await readSegmentHead(store, chain, header.start);
  if (head === null || head.stub !== null) return null;
  const bytes = encodeStub(header, { schemaVersion: STUB_VERSION, key, place });
  await store.put(keys.segment(chain, header.start), bytes);
  return bytes.length;
}

function differs(key: string, what: string): SluiceError {
  return new SluiceError(
    "E_STORE_CORRUPT",
    `Expected the compacted file ${key} as it was written, found a difference in ${what}. ` +
      "No segment was replaced. Check the disk or the object store, then run `sluice compact` again.",
    { key },
  );
}

/** The first column in which two batches differ by a bit; null where there is none. */
export function differenceOf(a: ScoredBatch, b: ScoredBatch): string | null {
  if (a.count !== b.count || a.topM !== b.topM) return "shape";
  for (const name of Object.keys(a) as (keyof ScoredBatch)[]) {
    const [left, right] = [a[name], b[name]];
    if (left === null || right === null || typeof left === "number") {
      if (left !== right) return name;
    } else if (ArrayBuffer.isView(left)) {
      if (!ArrayBuffer.isView(right) || !bytesOf(left).equals(bytesOf(right))) return name;
    } else {
      const [texts, others] = [left, right as TextColumn];
      for (let row = 0; row < a.count; row++) if (texts.get(row) !== others.get(row)) return name;
    }
  }
  return null;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
