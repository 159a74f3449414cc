import type { Log } from "../../connectors/log/log.js";
import { liveChains } from "../../operators/archive/chain.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { keepRunning } from "../flow/keep-running.js";
import { LiveDatasets } from "../flow/live-datasets.js";
import { openScoreIndex } from "../flow/score-index.js";
import { scoreTopic } from "../flow/score.js";
import { sleepUntil } from "../flow/sleep-until.js";
import { Together } from "../flow/together.js";
import { replay, type ReplayOptions } from "../replay.js";

export type TakeOverOptions = Pick<
  ReplayOptions,
  "workspace" | "log" | "scoring" | "perS" | "yieldTo" | "onPlan" | "onProgress" | "onWarning" | "signal" | "nowMs"
>;

const NOTHING = { scored: 0, copied: 0, kept: 0, quarantined: 0 } as const;
/** How often the archive is looked at, ms */
const LOOK_MS = 500;

/**
 * Scores what the log has with a teacher that is to follow, until it has all but what came in the last moments: what no chain of it has is
 * replayed, again and again; where it stood before, its live chains are gone on with. Processes share the work. Returns whether it is
 * that far: not after a stop.
 */
export async function takeOver(options: TakeOverOptions): Promise<boolean> {
  const { workspace, log, scoring, signal } = options;
  const { config, store } = workspace;
  const archive = { teacher: teacherDigest(scoring.teacher.card), stream: config.stream };
  const stoodBefore = (await liveChains(store, archive)).length > 0;
  for (;;) {
    const { left, plan } = await replay({ ...options, ask: { from: { at: "start" }, until: { at: "now" } } });
    if (signal.aborted || left > 0) return false;
    if (stoodBefore) break;
    const ends = await log.ends(config.stream);
    const came = ends.reduce((sum, { end }, partition) => {
      const reached = plan.asked.find((range) => range.partition === partition)?.end ?? 0;
      return sum + Math.max(0, end - reached);
    }, 0);
    // Less than a segment a partition: its live chains, which begin there, have that at once.
    if (came < ends.length * config.archive.segmentRecords) break;
  }
  return stoodBefore ? followLive(options) : true;
}

/** How many records of the log the live chains of a teacher have not archived yet. */
export async function liveLag(
  log: Pick<Log, "ends">,
  place: Pick<TakeOverOptions["workspace"], "store" | "config">,
  teacher: string,
): Promise<number> {
  const ends = await log.ends(place.config.stream);
  return behind(
    place,
    teacher,
    ends.map(({ end }) => end),
  );
}

async function behind(
  { store, config }: Pick<TakeOverOptions["workspace"], "store" | "config">,
  teacher: string,
  ends: readonly number[],
): Promise<number> {
  let lag = 0;
  for (const chain of await liveChains(store, { teacher, stream: config.stream })) {
    lag += Math.max(0, (ends[chain.partition] ?? 0) - (await new ChainReader(store, chain).end(chain.origin)));
  }
  return lag;
}

/** Scores on along the live chains until they reach where the log ends now. Nothing is told to top-K workers: they read the archive. */
async function followLive(options: TakeOverOptions): Promise<boolean> {
  const { workspace, log, scoring, signal, onWarning, nowMs } = options;
  const { config, store } = workspace;
  const { card } = scoring.teacher;
  const { stream, datasets } = config;
  const teacher = teacherDigest(card);
  const reached = new AbortController();
  const all = new Together(AbortSignal.any([signal, reached.signal]));
  const work = async (): Promise<void> => {
    await scoreTopic({
      ...scoring,
      config,
      log,
      store,
      card,
      index: openScoreIndex(workspace, card),
      until: null,
      downstream: (frontier) =>
        LiveDatasets.open(
          { store, datasets, teacher, stream, card, ...config.checkpoint, writes: false, onWarning },
          frontier,
        ),
      onWarning,
      signal: all.signal,
      nowMs,
    });
  };
  void all.begin(keepRunning(work, { signal: all.signal, onWarning, nowMs }));
  const lag = await liveLag(log, workspace, teacher);
  const ends = (await log.ends(stream)).map(({ end }) => end);
  const watch = async (): Promise<void> => {
    while (!all.signal.aborted) {
      const left = await behind(workspace, teacher, ends);
      options.onProgress?.({ ...NOTHING, phase: "score the lag", done: Math.max(0, lag - left), total: lag });
      if (left === 0) reached.abort();
      await sleepUntil(LOOK_MS, all.signal);
    }
  };
  void all.begin(watch());
  await all.ended();
  return !signal.aborted;
}
