import { getIfThere, type Store } from "../../connectors/store/store.js";
import { counted } from "../../schemas/counted.js";
import { isSluiceError, orNull, SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { RunBlock, RunHead } from "../../schemas/run.js";
import { encodeSegment, sameChecksums, type Segment, type SegmentHeader } from "../../schemas/segment.js";
import type { ChainPosition } from "./archive.js";
import type { ChainReader, Gap } from "./chain-reader.js";
import { damagedRecords } from "./damaged-records.js";
import { assertDigests } from "./run-digests.js";
import { writeRunAnew } from "./run-writer.js";
import { readSegment, readSegmentHeader } from "./segment-objects.js";
import type { StandingRun } from "./standing-runs.js";

/** Offsets [start, end) of a chain of which something is not as it was written. */
export interface DamagedPart extends Gap {
  /** Whether their rows cannot be read; otherwise what lies beside them can be made again from the rows */
  readonly needsRows: boolean;
}

export interface RepairedPart {
  readonly part: DamagedPart;
  /** `rows`: made again from rows that could be read; `copy`: from segments that still lay under their run; `log`: scored again */
  readonly from: "rows" | "copy" | "log";
  /** Whether all bits are those that were written */
  readonly isSame: boolean;
}

export interface RepairOptions {
  readonly store: Store;
  /** Scores the log's records of [position.end, end) again, as one segment */
  readonly scoredAgain: (chain: ChainName, position: ChainPosition, end: number) => Promise<Segment>;
  /** Called before what has other bits than before is put in its place */
  readonly beforeOthers: () => Promise<void>;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly nowMs: () => number;
}

/** All that is damaged of a chain and can be read past. Reads it whole. Throws E_SEGMENT_CORRUPT where an index is damaged. */
export async function damagedParts(store: Store, reader: ChainReader): Promise<DamagedPart[]> {
  const parts: DamagedPart[] = [];
  const onGap = (gap: Gap): void => {
    if (!parts.some(({ start }) => start === gap.start)) parts.push({ ...gap, needsRows: true });
  };
  const { chain, runs } = reader;
  const end = await reader.end(chain.origin, onGap);
  const segments = reader.segments(chain.origin, end, onGap);
  while ((await segments.next()).done !== true);
  for await (const gap of damagedRecords(store, runs, chain.origin, await runs.end()))
    if (!parts.some(({ start }) => start === gap.start)) parts.push({ ...gap, needsRows: false });
  for (const run of await runs.standing()) {
    for (const file of (await runs.headUnlessLost(run))?.files ?? []) {
      try {
        await orNull(assertDigests(store, file), "E_STORE_MISSING");
      } catch (error) {
        if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
        parts.push({ start: run.start, end: run.end, error, needsRows: false });
      }
    }
  }
  return parts.sort((a, b) => a.start - b.start);
}

/** Makes parts of one chain again, which stand then in the place of the damaged ones. Throws E_SEGMENT_CORRUPT where that cannot be, and E_LOG_RANGE. */
export async function repairParts(
  reader: ChainReader,
  parts: readonly DamagedPart[],
  options: RepairOptions,
): Promise<RepairedPart[]> {
  const runsEnd = await reader.runs.end();
  const byRun = new Map<StandingRun, DamagedPart[]>();
  const repaired: RepairedPart[] = [];
  for (const part of parts) {
    if (part.start >= runsEnd) {
      repaired.push(await repairSegment(reader, part, options));
      continue;
    }
    const run = await reader.runs.standingAt(part.start);
    byRun.set(run, [...(byRun.get(run) ?? []), part]);
  }
  for (const [run, damaged] of byRun) repaired.push(...(await repairRun(reader, run, damaged, options)));
  return repaired;
}

async function repairRun(
  reader: ChainReader,
  { start, end, level }: StandingRun,
  parts: readonly DamagedPart[],
  options: RepairOptions,
): Promise<RepairedPart[]> {
  const { chain, runs } = reader;
  const { head, before } = await indexed(reader, { start, end, level });
  const sources = new Set<RepairedPart["from"]>();
  const whole = async function* (): AsyncGenerator<Segment, void, undefined> {
    let at = start;
    for await (const segment of reader.segments(start, end, () => undefined)) {
      yield* filled(at, segment.header.start);
      at = segment.header.end;
      yield segment;
    }
    yield* filled(at, end);
  };
  /** Segments whose rows cannot be read */
  const filled = async function* (from: number, until: number): AsyncGenerator<Segment, void, undefined> {
    if (from >= until) return;
    let { watermarkMs } = await reader.totalsAt(from);
    for await (const header of reader.headers(from, until)) {
      const copy = await copyOf(options.store, chain, header);
      sources.add(copy === null ? "log" : "copy");
      yield copy ?? (await again(header, watermarkMs, options));
      ({ watermarkMs } = header);
    }
  };
  let isSame = true;
  await writeRunAnew(whole(), head, {
    ...options,
    chain,
    attempt: options.attempt(),
    again: "sluice archive repair",
    beforeIndex: async ({ blocks }) => {
      isSame = !sources.has("log") || checksumsOf(blocks) === before;
      if (!isSame) await options.beforeOthers();
    },
  });
  await runs.readAnew();
  const from = sources.has("log") ? "log" : sources.has("copy") ? "copy" : "rows";
  return parts.map((part) => ({ part, from: part.needsRows ? from : "rows", isSame }));
}

/** What a run's index says. */
async function indexed(
  reader: ChainReader,
  { start, end, level }: StandingRun,
): Promise<{ readonly head: RunHead; readonly before: string }> {
  try {
    return { head: await reader.runs.head(start, level), before: await sumsOf(reader, start, end) };
  } catch (cause) {
    if (!isSluiceError(cause, "E_SEGMENT_CORRUPT")) throw cause;
    const key = keys.runIndex(reader.chain, start, level);
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected at ${key} what the segments of offsets [${start}, ${end}) were, found it damaged, and nothing else says it. Restore the object from a copy, or ` +
        `give up what it says: \`sluice archive declare-lost ${key} --reason damaged\`.`,
      { cause, key, start, end },
    );
  }
}

/** Checksums of all row groups of a run, in order */
async function sumsOf(reader: ChainReader, start: number, end: number): Promise<string> {
  const blocks: RunBlock[] = [];
  for (let at = start; at < end; at = (await reader.runs.indexAt(at)).end)
    blocks.push((await reader.runs.indexAt(at)).block);
  return checksumsOf(blocks);
}

function checksumsOf(blocks: readonly RunBlock[]): string {
  return blocks.flatMap(({ rowGroups }) => rowGroups.map(({ crc32 }) => crc32)).join(" ");
}

/** A segment that its run was made of, where it was not swept yet and is whole. */
async function copyOf(store: Store, chain: ChainName, header: SegmentHeader): Promise<Segment | null> {
  const found = await orNull(readSegment(store, chain, header.start), "E_STORE_MISSING", "E_SEGMENT_CORRUPT");
  return found?.header.end === header.end && found.batch.count === rowsIn(header) ? found : null;
}

async function repairSegment(reader: ChainReader, part: DamagedPart, options: RepairOptions): Promise<RepairedPart> {
  const { store } = options;
  const { chain } = reader;
  const key = keys.segment(chain, part.start);
  const known = await orNull(readSegmentHeader(store, chain, part.start), "E_SEGMENT_CORRUPT");
  const end = known?.end ?? part.end;
  if (known === null && (await isLast(reader, end))) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected to learn where the segment at ${key} ended, found nothing that says it: it is the chain's last one, and its own header is damaged. ` +
        `Restore it from a copy, or give it up: \`sluice archive declare-lost ${key} --reason damaged\`.`,
      { key, start: part.start },
    );
  }
  const { watermarkMs } = await reader.totalsAt(part.start);
  const position = { end: part.start, watermarkMs };
  const made =
    known === null ? await options.scoredAgain(chain, position, end) : await again(known, watermarkMs, options);
  const bytes = encodeSegment({ ...made, header: { ...made.header, end } });
  const isSame = sameChecksums((await getIfThere(store, key)) ?? new Uint8Array(0), bytes);
  if (!isSame) await options.beforeOthers();
  await store.put(key, bytes);
  return { part, from: "log", isSame };
}

async function isLast(reader: ChainReader, end: number): Promise<boolean> {
  const { chain, runs } = reader;
  return end >= (await reader.end(chain.origin, () => undefined)) && (await runs.losses()).at(end) === null;
}

/** The log's records scored again under a header that is known: there must be as many rows, of the same offsets. */
async function again(header: SegmentHeader, watermarkMs: number | null, options: RepairOptions): Promise<Segment> {
  const { start, end, counts } = header;
  const found = await options.scoredAgain(header, { end: start, watermarkMs }, end);
  const refused = (one: SegmentHeader): string => one.rejected.map(({ offset }) => offset).join(", ");
  if (found.batch.count !== rowsIn(header) || refused(found.header) !== refused(header)) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected ${counted(rowsIn(header), "image")} at offsets [${start}, ${end}) of ${header.stream}/${header.partition} to be scored again and ` +
        `${counted(counts.quarantined, "record")} to be refused, as it was; found ${found.batch.count} and ${found.header.rejected.length}: ` +
        "images have vanished or changed, or settings are others. Put them back where they were (`sluice relocate` where they lie elsewhere), or declare the offsets lost.",
      { start, end },
    );
  }
  return { header: { ...header, pack: found.header.pack }, batch: found.batch };
}

function rowsIn({ counts }: SegmentHeader): number {
  return counts.scored + counts.copied;
}
