import type { Store } from "../../connectors/store/store.js";
import { ERASED_URI } from "../../schemas/erased.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { encodeRun, type RunHead } from "../../schemas/run.js";
import type { Segment } from "../../schemas/segment.js";
import { digestText } from "../version/fetched-images.js";
import { ChainReader } from "./chain-reader.js";
import { compactChain, RUN_SEGMENTS, type RefusedSegment } from "./compact-chain.js";
import { erasedImageOf, redactedSegment, rowsOf, type ErasedLeads } from "./redacted-rows.js";
import { RunDigests } from "./run-digests.js";
import { writeRunAnew } from "./run-writer.js";
import { sweepChain } from "./sweep-chain.js";
import type { StandingRun } from "./standing-runs.js";

/** A record of an image that is to be erased, or is. */
export interface ErasedPlace {
  readonly sha256: string;
  readonly partition: number;
  readonly offset: number;
  readonly uri: string;
  /** Whether the archive still says where it lay */
  readonly isLeft: boolean;
}

/** Every record that a chain has of these images. */
export async function* placesOf(
  store: Store,
  reader: ChainReader,
  leads: ErasedLeads,
): AsyncGenerator<ErasedPlace, void, undefined> {
  const { chain } = reader;
  const ends: { start: number; end: number }[] = [];
  for (const run of await reader.runs.standing()) if (await mayHave(store, reader, run, leads)) ends.push(run);
  const tail = Math.max(chain.origin, await reader.runs.end());
  ends.push({ start: tail, end: await reader.end(tail, () => undefined) });
  for (const { start, end } of ends)
    for await (const segment of reader.segments(start, end, () => undefined)) yield* placesIn(segment, leads);
}

function* placesIn({ header, batch }: Segment, leads: ErasedLeads): Generator<ErasedPlace> {
  const { partition } = header;
  for (const row of rowsOf(batch, leads.digests)) {
    const uri = batch.uri.get(row) ?? "";
    const offset = Number(batch.offset[row]);
    yield { sha256: digestText(batch, row), partition, offset, uri, isLeft: uri !== ERASED_URI };
  }
  for (const one of header.rejected) {
    const sha256 = erasedImageOf(one, leads);
    if (sha256 === null) continue;
    const { offset, uri } = one;
    yield { sha256, partition, offset, uri, isLeft: uri !== ERASED_URI };
  }
}

/** Whether a run may have one of these images, without reading its rows. */
async function mayHave(store: Store, reader: ChainReader, run: StandingRun, leads: ErasedLeads): Promise<boolean> {
  const { start, end } = run;
  const isLost = (await reader.runs.losses()).meets(start, end);
  for (const file of (await reader.runs.headUnlessLost(run))?.files ?? []) {
    const known = await RunDigests.openUnlessLost(store, file, isLost);
    // What is left of its rows is read.
    if (known === null) return true;
    for (const digest of leads.digests) if ((await known.find(Buffer.from(digest, "hex"))).length > 0) return true;
  }
  for await (const { rejected } of reader.headers(start, end))
    if (rejected.some((one) => erasedImageOf(one, leads) !== null)) return true;
  return false;
}

export interface EraseRowsOptions {
  readonly store: Store;
  readonly chain: ChainName;
  readonly leads: ErasedLeads;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly nowMs: () => number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes what leads to images out of a chain. Its tail is compacted first, so that all of it lies in runs; a run that has one of the
 * images is written anew without, and its index then names those files. What lay under the runs is deleted at once, without waiting for readers. Killed
 * anywhere, it goes on when it is run again. Returns the segment at which it had to stop, if one cannot be read.
 */
export async function eraseRows(options: EraseRowsOptions): Promise<RefusedSegment | null> {
  const { store, chain, leads } = options;
  const refused = await compactChain({
    ...options,
    dueOnly: false,
    beforeMs: null,
    segmentsPerRun: RUN_SEGMENTS,
    onRun: () => undefined,
  });
  /** Heads of what was written, by start and level */
  const written = new Map<string, string>();
  for (let more = true; more;) {
    more = false;
    const reader = new ChainReader(store, chain);
    await reader.runs.refresh();
    for (const run of await reader.runs.standing()) {
      if (!(await mayHave(store, reader, run, leads)) || !(await isLeftIn(reader, run, leads))) continue;
      const head = await reader.runs.headUnlessLost(run);
      const name = `${run.level}/${run.start}`;
      // What a declaration of lost offsets says is not the run's.
      if (head === null || written.get(name) === filesOf(head)) continue;
      written.set(name, filesOf(await writeAnew(reader, head, options)));
      more = true;
    }
    await giveUpLower(store, chain);
    await sweepChain(store, chain, Number.POSITIVE_INFINITY);
    // A compactor that had read rows before they were written anew may have made a run of them meanwhile.
  }
  return refused;
}

function filesOf({ files }: Pick<RunHead, "files">): string {
  return files.map(({ key }) => key).join(" ");
}

async function isLeftIn(reader: ChainReader, { start, end }: StandingRun, leads: ErasedLeads): Promise<boolean> {
  for await (const segment of reader.segments(start, end))
    for (const { isLeft } of placesIn(segment, leads)) if (isLeft) return true;
  return false;
}

async function writeAnew(
  reader: ChainReader,
  head: RunHead,
  options: EraseRowsOptions,
): Promise<Pick<RunHead, "files">> {
  const { leads } = options;
  const redacted = async function* (): AsyncGenerator<Segment, void, undefined> {
    for await (const segment of reader.segments(head.start, head.end)) yield redactedSegment(segment, leads);
  };
  const how = { ...options, attempt: options.attempt(), again: "sluice erase" };
  return (await writeRunAnew(redacted(), head, how)).head;
}

/** What runs under a higher one said of their segments: only their heads are kept. */
async function giveUpLower(store: Store, chain: ChainName): Promise<void> {
  const { runs } = new ChainReader(store, chain);
  await runs.refresh();
  const standing = new Set((await runs.standing()).map(({ start, level }) => `${level}/${start}`));
  for (let level = 0; level < runs.levels; level++) {
    for (const start of runs.startsOf(level)) {
      if (standing.has(`${level}/${start}`)) continue;
      const head = await runs.headUnlessLost({ start, level });
      if (head !== null && head.blocks.length > 0)
        await store.put(keys.runIndex(chain, start, level), encodeRun(head, []));
    }
  }
}
