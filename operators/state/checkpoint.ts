import { createHash } from "node:crypto";
import { z } from "zod";
import { putHashed, type Store } from "../../connectors/store/store.js";
import { Coverage, coverageSchema, type CoverageValue } from "./coverage.js";
import { DatasetState, SpanState, type DatasetStateOptions } from "../topk/dataset-state.js";
import { panesOf, paneSpan } from "../select/windows.js";
import { canonicalJson, sha256Hex } from "../../schemas/canonical.js";
import { parametersDigest } from "../select/numbered-selection.js";
import type { Span } from "../../schemas/dataset.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { atOrBelow, type Frontier } from "../../schemas/frontier.js";
import { checkpointShard, keys } from "../../schemas/keys.js";
import { WHOLE, type Shard } from "../../schemas/shard.js";
import type { LostRange } from "../../schemas/lost-range.js";
import { ArchiveReader } from "../archive/archive-reader.js";
import { differsByLoss, readLostRanges } from "../archive/lost-ranges.js";

/** A part of a pane's state: an immutable object, named with its digest. */
const partSchema = z.strictObject({ key: z.string(), sha256: z.string(), sizeBytes: z.int().nonnegative() });
type Part = z.infer<typeof partSchema>;

const checkpointSchema = z.strictObject({
  parameters: z.string(),
  coverage: coverageSchema,
  /** Declarations of lost offsets that the state knew of: one that was made before another is passed over where it has rows of that */
  losses: z.int().nonnegative(),
  /** A pane's state is what its parts merge to */
  panes: z.array(z.strictObject({ pane: z.int(), parts: z.array(partSchema) })),
});
type Checkpoint = z.infer<typeof checkpointSchema>;

/** Which panes' parts a live state does not hold in memory. */
export type SpilledParts = Map<number, readonly Part[]>;

export interface Restored {
  readonly state: DatasetState;
  /** Parts of panes that were not taken into memory */
  readonly spilled: SpilledParts;
}

/**
 * Makes a state durable at its frontier: each changed pane as an object of its own, then the checkpoint that names
 * them. `spilled` is what the state does not hold; panes for which `closed` says so are added to it and leave memory.
 * Returns the parts of every pane.
 */
export async function writeCheckpoint(
  store: Store,
  state: DatasetState,
  durable: SpilledParts,
  spilled: SpilledParts,
  closed: (pane: number) => boolean = () => false,
): Promise<SpilledParts> {
  const changed = new Set(state.takeChanged());
  try {
    return await writeChanged(store, state, changed, durable, spilled, closed);
  } catch (error) {
    // The caller that tries again must write them: the durable parts are older than the frontier will say.
    state.markChanged(changed);
    throw error;
  }
}

async function writeChanged(
  store: Store,
  state: DatasetState,
  changed: ReadonlySet<number>,
  durable: SpilledParts,
  spilled: SpilledParts,
  closed: (pane: number) => boolean,
): Promise<SpilledParts> {
  const { parameters, shard } = state;
  const coverage = state.coverage.value;
  const panes: SpilledParts = new Map(spilled);
  for (const pane of state.resident) {
    const parts = spilled.get(pane) ?? [];
    const known = durable.get(pane);
    if (!changed.has(pane) && known !== undefined) {
      panes.set(pane, known);
    } else {
      panes.set(pane, [...parts, await writePart(store, coverage.frontier, pane, state)]);
    }
    if (closed(pane)) {
      state.release(pane);
      spilled.set(pane, panes.get(pane)!);
    }
  }
  const checkpoint: Checkpoint = {
    parameters,
    coverage,
    losses: state.losses,
    panes: [...panes].sort(([a], [b]) => a - b).map(([pane, parts]) => ({ pane, parts: [...parts] })),
  };
  const body = canonicalJson(checkpoint);
  await store.putIfAbsent(
    keys.checkpoint(parameters, shard, coverage.frontier, state.losses),
    Buffer.from(canonicalJson({ checkpoint, sha256: sha256Hex(body) })),
  );
  return panes;
}

async function writePart(store: Store, frontier: Frontier, pane: number, state: DatasetState): Promise<Part> {
  const key = keys.checkpointPart(state.parameters, state.shard, pane, frontier);
  const { sha256, sizeBytes } = await putHashed(store, key, state.stateOf(pane)!.snapshotChunks());
  return { key, sha256, sizeBytes };
}

/**
 * The live state of the newest valid checkpoint at or below `frontier`, or the empty one; panes for which `wanted` says
 * so are in memory. A checkpoint that cannot be read is passed over, and `onWarning` is told: an older one and the
 * archive give the same state.
 */
export async function restoreLive(
  store: Store,
  options: DatasetStateOptions,
  frontier: Frontier,
  wanted: (pane: number, covered: CoverageValue) => boolean,
  onWarning?: (message: string) => void,
): Promise<Restored> {
  const parameters = parametersDigest(options.dataset, options.teacher, options.stream, options.card);
  const lost = await readLostRanges(store, options);
  const knowing = { ...options, losses: lost.length };
  for (const key of await checkpointKeys(store, parameters, options.shard ?? WHOLE)) {
    try {
      const { coverage, losses, panes } = await readCheckpoint(store, key);
      if (!atOrBelow(coverage.frontier, frontier) || differsByLoss(coverage.frontier, losses, lost)) continue;
      const state = new DatasetState(knowing, coverage);
      const spilled: SpilledParts = new Map();
      for (const { pane, parts } of panes) {
        if (!wanted(pane, coverage)) {
          spilled.set(pane, parts);
          continue;
        }
        for (const part of parts) await mergePart(store, part, state.pane(pane).state.merging());
      }
      return { state, spilled };
    } catch (error) {
      if (!isPassedOver(error)) throw error;
      onWarning?.(error.message);
    }
  }
  return { state: new DatasetState(knowing), spilled: new Map() };
}

/**
 * The state of a span from the newest valid checkpoints of all class shards, at or below `frontier`. Where they differ in
 * how far they came, the archive levels them. A span that is no union of panes has no checkpoint: panes cannot be taken apart.
 * `lostRanges`: as the caller's reader of the archive knows them; by default as they are now.
 */
export async function restoreSpan(
  store: Store,
  options: DatasetStateOptions,
  span: Span,
  frontier: Frontier,
  onWarning?: (message: string) => void,
  lostRanges?: readonly LostRange[],
): Promise<SpanState> {
  const { window } = options.dataset;
  const { first, end } = panesOf(window, span);
  if (paneSpan(window, first).startMs !== span.startMs || paneSpan(window, end - 1).endMs !== span.endMs) {
    return new SpanState(options, span);
  }
  const parameters = parametersDigest(options.dataset, options.teacher, options.stream, options.card);
  const passedOver = new Set<string>();
  const lost = lostRanges ?? (await readLostRanges(store, options));
  const archive = new ArchiveReader(store, options, lost);
  for (;;) {
    const shards = await newestShards(store, parameters, { frontier, lost }, passedOver, onWarning);
    const state = new SpanState(options, span, Coverage.furthest(shards.map((one) => one.coverage)).value);
    let reading = "";
    try {
      for (const { key, panes } of shards) {
        reading = key;
        for (const { pane, parts } of panes) {
          if (pane < first || pane >= end) continue;
          for (const part of parts) await mergePart(store, part, state.topk.merging());
        }
      }
    } catch (error) {
      if (!isPassedOver(error)) throw error;
      onWarning?.(error.message);
      passedOver.add(reading);
      continue;
    }
    for (const { shard, coverage } of shards) await level(archive, state, shard, new Coverage(coverage));
    return state;
  }
}

/** Gives the state what its shard's checkpoint lacks of what others cover. */
async function level(archive: ArchiveReader, state: SpanState, shard: Shard, covered: Coverage): Promise<void> {
  for (const { end, ...place } of state.coverage.frontier) {
    for await (const segment of archive.segments(place, covered.endIn(place), end)) {
      state.level(segment, shard);
    }
  }
}

interface ShardCheckpoint extends Checkpoint {
  readonly key: string;
  readonly shard: Shard;
}

/**
 * The newest readable checkpoint at or below `frontier` of each shard. Where classes were shared out in several ways, those of
 * which the one that lags covers most; none where a shard has none.
 */
async function newestShards(
  store: Store,
  parameters: string,
  { frontier, lost }: { readonly frontier: Frontier; readonly lost: readonly LostRange[] },
  passedOver: Set<string>,
  onWarning?: (message: string) => void,
): Promise<readonly ShardCheckpoint[]> {
  const byCount = new Map<number, Map<number, string[]>>();
  for await (const { key } of store.list(keys.checkpointShards(parameters))) {
    const shard = checkpointShard(key);
    if (shard === null || shard.index >= shard.count || passedOver.has(key)) continue;
    const shards = byCount.get(shard.count) ?? new Map<number, string[]>();
    byCount.set(shard.count, shards.set(shard.index, [key, ...(shards.get(shard.index) ?? [])]));
  }
  let best: ShardCheckpoint[] = [];
  let most = 0;
  for (const [count, shards] of byCount) {
    if (shards.size < count) continue;
    const found: ShardCheckpoint[] = [];
    for (const [index, newestFirst] of shards) {
      for (const key of newestFirst) {
        const checkpoint = await readOrPass(store, key, onWarning);
        if (checkpoint === null) passedOver.add(key);
        else if (
          atOrBelow(checkpoint.coverage.frontier, frontier) &&
          !differsByLoss(checkpoint.coverage.frontier, checkpoint.losses, lost)
        ) {
          found.push({ ...checkpoint, key, shard: { index, count } });
          break;
        }
      }
    }
    const least = Math.min(...found.map(({ coverage }) => new Coverage(coverage).records.in));
    if (found.length < count || least <= most) continue;
    best = found;
    most = least;
  }
  return best;
}

async function readOrPass(
  store: Store,
  key: string,
  onWarning?: (message: string) => void,
): Promise<Checkpoint | null> {
  try {
    return await readCheckpoint(store, key);
  } catch (error) {
    if (!isPassedOver(error)) throw error;
    onWarning?.(error.message);
    return null;
  }
}

/**
 * What the furthest readable checkpoint of any shard at or below `frontier` covers, and the panes it has: every shard's has
 * all. null where there is none. `lost`: what is declared lost of the archive, as it is now; see `readLostRanges`.
 */
export async function newestCoverage(
  store: Store,
  parameters: string,
  frontier: Frontier,
  lost: readonly LostRange[],
): Promise<{ readonly coverage: CoverageValue; readonly panes: readonly number[] } | null> {
  const newest = await newestShards(store, parameters, { frontier, lost }, new Set());
  const [first] = newest.toSorted((a, b) => new Coverage(b.coverage).records.in - new Coverage(a.coverage).records.in);
  return first === undefined ? null : { coverage: first.coverage, panes: first.panes.map(({ pane }) => pane) };
}

/** E_STORE_MISSING: removed between listing and reading, by a process that keeps only the newest few. */
function isPassedOver(error: unknown): error is SluiceError {
  return isSluiceError(error, "E_CHECKPOINT_CORRUPT") || isSluiceError(error, "E_STORE_MISSING");
}

async function readCheckpoint(store: Store, key: string): Promise<Checkpoint> {
  const bytes = await store.get(key);
  try {
    const { checkpoint, sha256 } = z
      .strictObject({ checkpoint: checkpointSchema, sha256: z.string() })
      .parse(JSON.parse(Buffer.from(bytes).toString()));
    if (sha256Hex(canonicalJson(checkpoint)) !== sha256) throw new TypeError("its digest is another");
    return checkpoint;
  } catch (cause) {
    throw new SluiceError(
      "E_CHECKPOINT_CORRUPT",
      `Expected a checkpoint at ${key}, found other bytes. It is passed over; the archive gives the same state.`,
      { cause, key },
    );
  }
}

/** The digest is the checkpoint's: a part that was written anew under the same name is not the one it means. */
async function mergePart(
  store: Store,
  part: Part,
  into: { push(chunk: Uint8Array): void; end(): void },
): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of store.getStream(part.key)) {
    hash.update(chunk);
    into.push(chunk);
  }
  if (hash.digest("hex") !== part.sha256) {
    throw new SluiceError(
      "E_CHECKPOINT_CORRUPT",
      `Expected the part ${part.key} with SHA-256 ${part.sha256}, found other bytes. Its checkpoint is passed over; the archive gives the same state.`,
      { key: part.key },
    );
  }
  into.end();
}

/**
 * Removes all but the newest `keep` checkpoints of a state, and the parts that none of those names. Parts at or above the newest one's frontier
 * stay: another process, which has taken the shard over, may be about to name them.
 */
export async function pruneCheckpoints(
  store: Store,
  { parameters, shard }: Pick<DatasetState, "parameters" | "shard">,
  keep: number,
): Promise<void> {
  const all = await checkpointKeys(store, parameters, shard);
  const named = new Set<string>();
  for (const key of all.slice(0, keep)) {
    for (const { parts } of (await readOrPass(store, key))?.panes ?? []) for (const part of parts) named.add(part.key);
  }
  for (const key of all.slice(keep)) await store.delete(key);
  const newest = all[0] === undefined ? "" : reachIn(all[0]);
  for await (const { key } of store.list(keys.checkpointParts(parameters, shard))) {
    if (!named.has(key) && reachIn(key) < newest) await store.delete(key);
  }
}

/** How far it comes, as a checkpoint or a part is called by it. */
function reachIn(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1).split(/[-_.]/)[0]!;
}

/** Newest first: names of later frontiers sort behind those of earlier ones. */
async function checkpointKeys(store: Store, parameters: string, shard: Shard): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(keys.checkpoints(parameters, shard))) found.push(key);
  return found.reverse();
}

/** Checkpoints and parts that are not as they were written, of all states. A reader passes over them. */
export async function* damagedCheckpoints(store: Store): AsyncGenerator<SluiceError, void, undefined> {
  const nowhere = { push: () => undefined, end: () => undefined };
  for await (const { key } of store.list(CHECKPOINTS)) {
    if (checkpointShard(key) === null) continue;
    try {
      const { panes } = await readCheckpoint(store, key);
      for (const { parts } of panes) for (const part of parts) await mergePart(store, part, nowhere);
    } catch (error) {
      // What has just been pruned is not there to be damaged.
      if (isSluiceError(error, "E_CHECKPOINT_CORRUPT")) yield error;
      else if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
    }
  }
}

const CHECKPOINTS = "checkpoints/";
