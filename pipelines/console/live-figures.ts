import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { versionNumbers } from "../../operators/version/manifests.js";
import type { Flow, FlowMoment, Live } from "../../schemas/api/flow.js";
import type { Config } from "../../schemas/config.js";
import { isSluiceError, messageOf, orNull } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import { keys } from "../../schemas/keys.js";
import { stageAdvice } from "../../schemas/stage-advice.js";
import { holderOf, type FolderHolder } from "../open/folder-holder.js";
import { standingControl } from "../flow/flow-control.js";
import type { RunRecord } from "../../schemas/run-record.js";
import { lastRun } from "../flow/stage-record.js";

/** How often it is looked while somebody watches, ms */
const EVERY_MS = 1000;
/** What costs more than a file is looked at less often, ms */
const SLOW_MS = 5000;
/** What a rate is taken over, ms: segments are written every few seconds */
const RATE_MS = 30_000;
/** Looks kept: an hour of them */
const HISTORY = 3600;
/** Looks whose stages are kept: some minutes of them */
const MOMENTS = 180;
/** A run that has written nothing for so long does not run any more, ms */
const SILENT_MS = 30_000;

interface Looked {
  readonly atMs: number;
  readonly archived: number;
}

/** What costs more to look at */
interface Slow {
  readonly atMs: number;
  readonly holder: FolderHolder | null;
  readonly watermarkMs: number | null;
  readonly teachers: readonly string[];
}

export interface LiveFiguresOptions {
  readonly config: () => Config;
  readonly store: Store;
  readonly nowMs: () => number;
  /** Errors of our own, for the log: those that watch miss a moment */
  readonly onFault: (message: string) => void;
}

/**
 * What is going on, from what the processes at work write down: the archive, and the run record in the data folder. It looks once
 * a second for all that watch, and not at all where nobody does.
 */
export class LiveFigures {
  readonly #options: LiveFiguresOptions;
  readonly #watchers = new Set<(live: Live) => void>();
  readonly #looks: Looked[] = [];
  readonly #rates: [number, number][] = [];
  readonly #frontiers = new Map<string, Frontier>();
  readonly #moments: FlowMoment[] = [];
  readonly #readers = new Map<string, ArchiveReader>();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<Live> | null = null;
  #last: Live | null = null;
  #slow: Slow | null = null;

  constructor(options: LiveFiguresOptions) {
    this.#options = options;
  }

  /** Calls `watcher` every second until the returned function is called. */
  watch(watcher: (live: Live) => void): () => void {
    this.#watchers.add(watcher);
    this.#timer ??= setInterval(() => {
      this.look().catch((error: unknown) => {
        this.#options.onFault(messageOf(error));
      });
    }, EVERY_MS).unref();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0 || this.#timer === null) return;
      clearInterval(this.#timer);
      this.#timer = null;
    };
  }

  async flow(): Promise<Flow> {
    return { now: await this.look(), history: this.#rates.slice(), stages: this.#moments.slice() };
  }

  /** What is going on now; a look that is under way is everybody's. */
  look(): Promise<Live> {
    const { nowMs } = this.#options;
    if (this.#last !== null && nowMs() - this.#last.atMs < EVERY_MS / 2) return Promise.resolve(this.#last);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<Live> {
    const live = await this.#found();
    this.#last = live;
    const { atMs, stages, waiting, run } = live;
    // Of a run that was killed the last record stands, and says nothing of now.
    if (stages !== null && isRunning(run, atMs)) {
      this.#moments.push({ ...stages.shares, atMs, waiting });
      if (this.#moments.length > MOMENTS) this.#moments.shift();
    }
    for (const watcher of this.#watchers) watcher(live);
    return live;
  }

  async #found(): Promise<Live> {
    const { config, nowMs } = this.#options;
    const atMs = nowMs();
    const run = await lastRun(config());
    const none = {
      archived: this.#last?.archived ?? 0,
      versions: this.#last?.versions ?? {},
      labels: this.#last?.labels ?? 0,
      control: this.#last?.control ?? null,
    };
    let away: string | null = null;
    let seen = none;
    try {
      seen = await this.#archive(atMs);
    } catch (error) {
      // The page goes on with what it knew, and says that it is old.
      if (!isSluiceError(error, "E_STORE_IO")) throw error;
      away = error.message;
    }
    const perSecond = away === null ? this.#rate(atMs, seen.archived) : null;
    const stages = run?.stages ?? null;
    return {
      atMs,
      ...seen,
      perSecond,
      waiting: isRunning(run, atMs) ? run.waiting : null,
      watermarkMs: this.#slow?.watermarkMs ?? null,
      holder: this.#slow?.holder ?? null,
      run,
      stages,
      control: seen.control,
      advice: stages === null ? null : stageAdvice(stages),
      away,
    };
  }

  async #archive(atMs: number): Promise<Pick<Live, "archived" | "versions" | "labels" | "control">> {
    const { store, config } = this.#options;
    const { stream, datasets } = config();
    const slow = await this.#slowly(atMs);
    let archived = 0;
    for (const teacher of slow.teachers) {
      const frontier = await this.#frontierOf(teacher);
      archived += frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
    }
    const versions: Record<string, number> = {};
    for (const { name } of datasets) versions[name] = (await versionNumbers(store, name)).at(-1) ?? 0;
    let labels = 0;
    for await (const { key } of store.list(keys.labels(stream))) labels += key === "" ? 0 : 1;
    const control = await orNull(standingControl(store, stream), "E_STORE_CORRUPT");
    return { archived, versions, labels, control };
  }

  async #slowly(atMs: number): Promise<Slow> {
    if (this.#slow !== null && atMs - this.#slow.atMs < SLOW_MS) return this.#slow;
    const { store, config } = this.#options;
    const teachers = [...(await readCards(store)).keys()];
    let watermarkMs: number | null = null;
    for (const teacher of teachers) {
      const reader = this.#reader(teacher);
      const totals = await reader.totalsAt(await this.#frontierOf(teacher, true), () => undefined);
      if (totals.watermarkMs !== null) watermarkMs = Math.max(watermarkMs ?? totals.watermarkMs, totals.watermarkMs);
    }
    this.#slow = { atMs, holder: await orNull(holderOf(config()), "E_LOG_CORRUPT"), watermarkMs, teachers };
    return this.#slow;
  }

  /** Chains only grow: what is new of them is looked for, and at times whether there are others. */
  async #frontierOf(teacher: string, isListed = false): Promise<Frontier> {
    const from = this.#frontiers.get(teacher);
    const reader = this.#reader(teacher);
    const grown = async (): Promise<Frontier> =>
      Promise.all(from!.map(async (one) => ({ ...one, end: await reader.chain(one).end(one.end, () => undefined) })));
    const frontier =
      from === undefined || isListed ? await reader.frontier({ onGap: () => undefined, from }) : await grown();
    this.#frontiers.set(teacher, frontier);
    return frontier;
  }

  #reader(teacher: string): ArchiveReader {
    const { store, config } = this.#options;
    const reader = this.#readers.get(teacher) ?? new ArchiveReader(store, { teacher, stream: config().stream });
    this.#readers.set(teacher, reader);
    return reader;
  }

  /** Records a second over the last looks; null before there are two. */
  #rate(atMs: number, archived: number): number | null {
    this.#looks.push({ atMs, archived });
    while (this.#looks.length > 2 && atMs - this.#looks[0]!.atMs > RATE_MS) this.#looks.shift();
    const [first] = this.#looks;
    if (first === undefined || atMs - first.atMs < EVERY_MS / 2) return null;
    const perSecond = Math.max(0, (1000 * (archived - first.archived)) / (atMs - first.atMs));
    this.#rates.push([atMs, perSecond]);
    if (this.#rates.length > HISTORY) this.#rates.shift();
    return perSecond;
  }
}

function isRunning(run: RunRecord | null, atMs: number): run is RunRecord {
  return run !== null && !run.ended && atMs - run.atMs < SILENT_MS;
}
