import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { openEmbeddedLog, type EmbeddedLog } from "../connectors/log/embedded/embedded-log.js";
import { Salvage, type SalvagedPartition } from "../connectors/log/embedded/salvage.js";
import { assertNotHeld, faultOf, isClosed, REBUILDING } from "../connectors/log/embedded/standing.js";
import type { Store } from "../connectors/store/store.js";
import { readClaims } from "../operators/archive/chain-claims.js";
import { streamLog, succeedStreamLog } from "../operators/archive/stream-log.js";
import { readCards } from "../operators/archive/teacher-registry.js";
import { declaredStreams, readDeclarations } from "../operators/version/declarations.js";
import type { Config } from "../schemas/config.js";
import type { LogRecord } from "../schemas/image-record.js";
import { isSameLog } from "../schemas/stream-log.js";
import { batches } from "./flow/flow.js";
import { furthestArchived } from "./flow/furthest-archived.js";
import { FOLDERS } from "./open/workspace.js";

export interface RebuildLogOptions {
  readonly config: Config;
  readonly store: Store;
  /** Say what would be done, and change nothing */
  readonly dryRun: boolean;
  readonly nowMs: number;
}

export interface RebuiltPartition {
  readonly stream: string;
  readonly partition: number;
  /** The furthest end of a chain: everything below is archived by a teacher */
  readonly archivedTo: number;
  /** The new log has the records [start, end) of the old one, which were as they had been written */
  readonly start: number;
  readonly end: number;
  /** Records that came into the old log, are not archived, and cannot be read; null where nobody can tell whether there were any */
  readonly lost: { readonly start: number; readonly end: number } | null;
}

export interface RebuiltLog {
  /** What was wrong; null: the log is sound, and nothing was done */
  readonly fault: string | null;
  /** Where the old log lies now, or would; null where there was none */
  readonly aside: string | null;
  readonly partitions: readonly RebuiltPartition[];
  /** Whether sources go on where they were; else each gives everything again, and what is archived is copied */
  readonly sourcesGoOn: boolean;
  /** Places that are declared as sources, of which the rest is to be ingested again */
  readonly sources: readonly (readonly string[])[];
}

/** How many of the old records are appended to the new log at once */
const APPEND = { max: 8 * 1024 * 1024, maxItems: 512, maxDelayMs: 1000 };

/**
 * Begins a new log where the archive ends, with all that can still be read of the old one, which is put aside. Killed anywhere, it goes on
 * when it is run again. Throws E_LOCKED while somebody writes to the log.
 */
export async function rebuildLog(options: RebuildLogOptions): Promise<RebuiltLog> {
  const { config, store, dryRun, nowMs } = options;
  const folder = resolve(config.data, FOLDERS.log);
  const fresh = `${folder}${REBUILDING}`;
  await assertNotHeld(folder);
  const streams = [...new Set([config.stream, ...(await declaredStreams(store))])];
  const sources = await declaredSources(store, streams);
  // The new one is whole: the old one was put aside already, or the streams are said to go on in the new one.
  if (isClosed(fresh) && (!existsSync(folder) || (await succeeds(fresh, store, streams)))) {
    const aside = existsSync(folder) ? asideName(folder, nowMs) : null;
    if (!dryRun) {
      if (aside !== null) await rename(folder, aside);
      await rename(fresh, folder);
    }
    return { fault: "a rebuild had not ended", aside, partitions: [], sourcesGoOn: false, sources };
  }
  const reached = new Map<string, readonly number[]>();
  for (const stream of streams) reached.set(stream, await reachOf(store, stream));
  const damage = faultOf(folder);
  const foreign = damage === null ? await foreignIn(folder, store, streams) : new Set<string>();
  const fault = damage ?? foreignText(foreign) ?? (await shortOf(folder, reached));
  if (fault === null) return { fault, aside: null, partitions: [], sourcesGoOn: true, sources };

  // What another log has at offsets that are archived is no part of what was archived: nothing of it is taken over.
  const plans = streams.map((stream) => planStream(foreign.has(stream) ? null : folder, stream, reached.get(stream)!));
  try {
    const partitions = plans.flatMap(({ planned }) => planned);
    const sourcesGoOn = plans.every(({ cursors }) => cursors !== null);
    const aside = existsSync(folder) ? asideName(folder, nowMs) : null;
    if (!dryRun) {
      await rm(fresh, { recursive: true, force: true });
      const log = await openEmbeddedLog(fresh, { exclusive: true, command: "sluice log rebuild" });
      try {
        for (const plan of plans) await fill(log, plan);
        for (const { stream, planned } of plans)
          if (planned.length > 0) await succeedStreamLog(store, stream, await log.identity(stream));
      } finally {
        await log.close();
      }
      if (aside !== null) await rename(folder, aside);
      await rename(fresh, folder);
    }
    return { fault, aside, partitions, sourcesGoOn, sources };
  } finally {
    for (const { salvage } of plans) salvage?.close();
  }
}

/** By partition, the furthest that any chain of the stream reaches, or is to reach. */
async function reachOf(store: Store, stream: string): Promise<number[]> {
  const furthest = await furthestArchived(store, stream);
  for (const teacher of (await readCards(store)).keys())
    for (const { partition, end } of await readClaims(store, { teacher, stream }))
      furthest.set(partition, Math.max(end ?? 0, furthest.get(partition) ?? 0));
  return Array.from({ length: Math.max(-1, ...furthest.keys()) + 1 }, (_, partition) => furthest.get(partition) ?? 0);
}

/** Whether each stream that a log has goes on in it by what the store says, and it has one. */
async function succeeds(folder: string, store: Store, streams: readonly string[]): Promise<boolean> {
  const log = await openEmbeddedLog(folder, { exclusive: false });
  try {
    const own = streams.filter((one) => log.topics().includes(one));
    for (const stream of own) {
      const standing = await streamLog(store, stream);
      if (standing === null || !isSameLog(standing.log, await log.identity(stream))) return false;
    }
    return own.length > 0;
  } finally {
    await log.close();
  }
}

/** Streams of which a sound log has a topic that is not the one they were archived from. */
async function foreignIn(folder: string, store: Store, streams: readonly string[]): Promise<Set<string>> {
  const log = await openEmbeddedLog(folder, { exclusive: false });
  try {
    const foreign = new Set<string>();
    for (const stream of streams.filter((one) => log.topics().includes(one))) {
      const standing = await streamLog(store, stream);
      if (standing !== null && !isSameLog(standing.log, await log.identity(stream))) foreign.add(stream);
    }
    return foreign;
  } finally {
    await log.close();
  }
}

function foreignText(foreign: ReadonlySet<string>): string | null {
  if (foreign.size === 0) return null;
  return `${[...foreign].join(", ")} was archived from another log, whose offsets this one does not go on from`;
}

/** What is said of a log that is sound and ends before the archive does: it is another one. null where it does not. */
async function shortOf(folder: string, reached: ReadonlyMap<string, readonly number[]>): Promise<string | null> {
  const log = await openEmbeddedLog(folder, { exclusive: false });
  try {
    for (const [stream, ends] of reached) {
      if (ends.length === 0) continue;
      const found = await endsOf(log, stream);
      const short = ends.findIndex((end, partition) => (found[partition] ?? 0) < end);
      if (short < 0) continue;
      return `${stream}/${short} ends at ${found[short] ?? 0} in it, and is archived up to ${ends[short]!}`;
    }
    return null;
  } finally {
    await log.close();
  }
}

async function endsOf(log: EmbeddedLog, stream: string): Promise<number[]> {
  return log.topics().includes(stream) ? (await log.ends(stream)).map(({ end }) => end) : [];
}

interface StreamPlan {
  readonly stream: string;
  readonly salvage: Salvage | null;
  readonly planned: readonly RebuiltPartition[];
  /** null: sources begin anew */
  readonly cursors: ReadonlyMap<string, string> | null;
}

function planStream(folder: string | null, stream: string, reached: readonly number[]): StreamPlan {
  const salvage = folder === null ? null : Salvage.of(folder, stream);
  const found = salvage?.partitions ?? new Map<number, SalvagedPartition>();
  const count = Math.max(reached.length, ...[...found.keys()].map((partition) => partition + 1));
  const planned = Array.from({ length: count }, (_, partition): RebuiltPartition => {
    const archived = reached[partition] ?? 0;
    const old = found.get(partition);
    const { start, end } = runAround(old?.offsets ?? new Float64Array(0), archived);
    const lost = old === undefined ? null : { start: end, end: Math.max(end, old.end) };
    return { stream, partition, archivedTo: archived, start, end, lost };
  });
  const isWhole = planned.every(
    ({ partition, archivedTo, lost }) =>
      lost !== null && lost.start === lost.end && found.get(partition)!.end >= archivedTo,
  );
  return { stream, salvage, planned, cursors: isWhole ? (salvage?.cursors ?? null) : null };
}

/** The offsets that follow on each other up to `at` and from it on. */
function runAround(offsets: Float64Array, at: number): { readonly start: number; readonly end: number } {
  let first = offsets.findIndex((offset) => offset >= at);
  if (first < 0) first = offsets.length;
  let [start, end] = [at, at];
  for (let index = first; offsets[index] === end; index++) end++;
  for (let index = first - 1; index >= 0 && offsets[index] === start - 1; index--) start--;
  return { start, end };
}

async function fill(log: EmbeddedLog, { stream, salvage, planned, cursors }: StreamPlan): Promise<void> {
  if (planned.length === 0) return;
  await log.ensureTopic(stream, planned.length);
  for (const { partition, start, end } of planned) {
    await log.beginAt(stream, partition, start);
    if (salvage === null) continue;
    const weight = ({ value }: LogRecord): number => value?.length ?? 0;
    for await (const group of batches(each(salvage.records(partition, start, end)), { ...APPEND, weight }))
      await log.append(stream, partition, group);
  }
  for (const [name, value] of cursors ?? []) await log.append(stream, 0, [], { name, value });
}

async function* each<T>(all: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* all;
}

function asideName(folder: string, nowMs: number): string {
  const at = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  for (let number = 1; ; number++) {
    const name = `${folder}.damaged-${at}${number === 1 ? "" : `-${number}`}`;
    if (!existsSync(name)) return name;
  }
}

async function declaredSources(store: Store, streams: readonly string[]): Promise<(readonly string[])[]> {
  const all: (readonly string[])[] = [];
  for (const stream of streams) {
    const { settings } = await readDeclarations(store, stream);
    all.push(...(settings?.sources ?? []).map(({ places }) => places));
  }
  return all;
}
