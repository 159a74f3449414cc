import type { Assignment, Log } from "../connectors/log/log.js";
import { archivedChains } from "../operators/archive/chain.js";
import { readClaims } from "../operators/archive/chain-claims.js";
import { saveCard } from "../operators/archive/teacher-registry.js";
import { groupName } from "../schemas/kafka-names.js";
import { keys, type ChainName } from "../schemas/keys.js";
import { teacherDigest } from "../schemas/model-card.js";
import type { Observer } from "../schemas/observed.js";
import type { OnProgress } from "../schemas/progress.js";
import type { Segment } from "../schemas/segment.js";
import { planReplay, type PlannedChain, type ReplayAsk, type ReplayPlan } from "./replay-plan.js";
import { chainScoring, frontierOf, scoreChain, type OpenChain } from "./flow/chain-scoring.js";
import type { RunCounts } from "./flow/ingest-progress.js";
import { keepRunning } from "./flow/keep-running.js";
import { LiveDatasets } from "./flow/live-datasets.js";
import type { ImageScoring } from "./open/open-scoring.js";
import { PacedRead, type Pace } from "./flow/paced-read.js";
import { Together } from "./flow/together.js";
import { ReplayTracker } from "./kafka/replay-tracker.js";
import { openScoreIndex, type LocalScoreIndex } from "./flow/score-index.js";
import type { Workspace } from "./open/workspace.js";
import { ToldQuarantine } from "./kafka/told-quarantine.js";
import { assertTopics } from "./kafka/topics.js";
import { YieldToLive, type YieldOptions } from "./kafka/yield-to-live.js";
import { pinned } from "./flow/pinned.js";
import { sleepUntil } from "./flow/sleep-until.js";

export interface ReplayOptions {
  /** Its local tables are this process's alone */
  readonly workspace: Workspace;
  readonly log: Log;
  readonly scoring: ImageScoring;
  readonly ask: ReplayAsk;
  readonly perS?: number | undefined;
  /** Wait while live scorers are behind */
  readonly yieldTo?: Pick<YieldOptions, "lags" | "most"> | undefined;
  readonly onPlan?: (plan: ReplayPlan) => void;
  readonly onSegment?: (segment: Segment) => void;
  readonly onProgress?: OnProgress;
  readonly observer?: Observer | undefined;
  readonly onWarning: (message: string) => void;
  /** Ends reading; what was read is scored and archived */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** Another one at each call, [a-z0-9-]+; by default random */
  readonly newId?: () => string;
  /** See `ChainScoringOptions` */
  readonly attempt?: (() => string) | undefined;
}

export interface ReplayResult {
  readonly plan: ReplayPlan;
  /** Of this process */
  readonly counts: Omit<RunCounts, "appended" | "sizeBytes">;
  /** Offsets of the plan that nobody has archived yet */
  readonly left: number;
}

/** How often the archive is looked at for what other processes have done, and the live scorers' lag, ms */
const LOOK_MS = 1000;

/**
 * A range of the images topic, read again and scored by another teacher: plan -> log -> score -> archive, each missing
 * range a chain of its own. Nothing is published: scores lie under the teacher's digest, and what is quarantined is told to its topic.
 * Processes share the partitions, also where each was asked for something else; each stays until what it was asked for is done.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { workspace, log, scoring, signal, onWarning, nowMs, newId } = options;
  const { config, store } = workspace;
  const { card } = scoring.teacher;
  const { stream } = config;
  const teacher = teacherDigest(card);
  const { cluster } = workspace;
  if (cluster !== null && config.kafka !== undefined) {
    await assertTopics(cluster, config, config.kafka, ["quarantine"]);
  }
  await saveCard(store, card);
  const index = openScoreIndex(workspace, card);
  const archivedTo = async (chain: ChainName): Promise<number> => (await index.catchUp(chain)).end;
  const plan = await planReplay({ log, store, teacher, stream, ask: options.ask, archivedTo, dryRun: false });
  options.onPlan?.(plan);
  const counts = { scored: 0, copied: 0, quarantined: 0, lost: 0 };
  const report = (): void => {
    const done = tracker.total - tracker.left;
    options.onProgress?.({ phase: "replay", done, total: tracker.total, kept: 0, ...counts });
  };
  const tracker = new ReplayTracker(store, plan.chains, report);
  if (plan.chains.length === 0) return { plan, counts, left: 0 };
  report();
  return pinned(store, { teacher, stream }, "replay", { nowMs, newId }, async () => {
    const all = new Together(signal);
    const halt = all.signal;
    const ended = AbortSignal.any([halt, tracker.finished]);
    const live =
      options.yieldTo === undefined
        ? undefined
        : new YieldToLive({ ...options.yieldTo, everyMs: LOOK_MS, onNote: onWarning });
    const pace: Pace = { perS: options.perS, clear: live?.clear.bind(live) };
    const onSegment = (segment: Segment): void => {
      const { header } = segment;
      for (const name of ["scored", "copied", "quarantined", "lost"] as const) counts[name] += header.counts[name];
      tracker.note(header, header.end);
      options.onSegment?.(segment);
    };
    const score = (): Promise<void> =>
      scorePlan({ ...options, signal: halt, onSegment }, plan.chains, { index, tracker, read: new PacedRead(pace) });
    void all.begin(keepRunning(score, { signal: halt, onWarning, nowMs, loop: "score", observer: options.observer }));
    void all.begin(tracker.watch(LOOK_MS, halt));
    if (live !== undefined) void all.begin(live.watch(ended));
    await all.ended();
    return { plan, counts, left: tracker.left };
  });
}

/** As a member of the replays' group, along the chains of the partitions that this process is given, until all is done. */
async function scorePlan(
  options: ReplayOptions & { readonly onSegment: (segment: Segment) => void },
  planned: readonly PlannedChain[],
  {
    index,
    tracker,
    read,
  }: { readonly index: LocalScoreIndex; readonly tracker: ReplayTracker; readonly read: PacedRead },
): Promise<void> {
  const { workspace, log, scoring: parts, attempt, nowMs, observer, onSegment, onWarning, signal } = options;
  const { config, store } = workspace;
  const { card } = parts.teacher;
  const { stream } = config;
  const teacher = teacherDigest(card);
  const known: OpenChain[] = [];
  for (const chain of await archivedChains(store, { teacher, stream })) {
    known.push({ chain, position: await index.catchUp(chain) });
  }
  // For the thresholds by which bytes are kept: the checkpoints are those of who publishes.
  const states = await LiveDatasets.open(
    { store, datasets: config.datasets, teacher, stream, card, ...config.checkpoint, writes: false, onWarning },
    frontierOf(known),
  );
  const { kafka } = config;
  const downstream =
    kafka === undefined ? states : new ToldQuarantine(states, { log, store, topic: kafka.topics.quarantine, nowMs });
  const scoring = chainScoring({
    ...parts,
    config,
    log,
    store,
    card,
    index,
    downstream,
    onSegment,
    observer,
    attempt,
    nowMs,
  });
  /** Along one chain from where it is archived to, until its end or until `over` aborts. */
  const scoreAlong = async (
    given: Assignment,
    { chain, end }: Pick<PlannedChain, "chain" | "end">,
    over: AbortSignal,
  ): Promise<void> => {
    const open: OpenChain = { chain, position: { end: chain.origin, watermarkMs: null } };
    await scoreChain(open, { given, read: readUntil(read.of(given), over), until: end, signal: over }, scoring);
    tracker.note(chain, open.position.end);
  };
  const keepScoringAlong = (...chain: Parameters<typeof scoreAlong>): Promise<void> =>
    keepRunning(() => scoreAlong(...chain), { signal: chain[2], onWarning, nowMs, loop: "score", observer });
  /** Partitions of this process that still have something of the plan to do */
  const busy = new Set<number>();
  const scorePartition = async (assignment: Assignment): Promise<void> => {
    const { partition, signal: given } = assignment;
    busy.add(partition);
    try {
      for (const one of planned) {
        if (one.chain.partition === partition && !given.aborted) await keepScoringAlong(assignment, one, given);
      }
    } finally {
      busy.delete(partition);
    }
    const over = AbortSignal.any([given, tracker.finished]);
    while (!over.aborted) {
      // The rest of the plan is with others, and they may wait for what only this one can do: their own ranges here.
      if (busy.size === 0) {
        for (const one of await otherReplays(partition))
          if (!isAborted(over)) await keepScoringAlong(assignment, one, over);
      }
      await sleepUntil(LOOK_MS, over);
    }
  };
  const otherReplays = async (partition: number): Promise<readonly Pick<PlannedChain, "chain" | "end">[]> => {
    const own = new Set(planned.map(({ chain }) => keys.chain(chain)));
    const claimed = await readClaims(store, { teacher, stream });
    return claimed.flatMap(({ origin, end, ...place }) => {
      const chain = { teacher, stream, partition, origin };
      return place.partition === partition && end !== null && !own.has(keys.chain(chain)) ? [{ chain, end }] : [];
    });
  };
  await log.consume(stream, groupName(config, "replay", teacher), scorePartition, signal);
}

function readUntil(read: Assignment["read"], over: AbortSignal): Assignment["read"] {
  return async function* (offset, how) {
    for await (const batch of read(offset, how)) {
      if (over.aborted) return;
      yield batch;
    }
  };
}

/** It may abort at any `await`. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
