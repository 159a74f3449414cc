import type { Store } from "../../connectors/store/store.js";
import { archivedChains } from "../../operators/archive/chain.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { currentFrontier, type Archive } from "../../operators/archive/archive-reader.js";
import { cut } from "../../operators/state/cut.js";
import { appendLabels } from "../../operators/archive/image-labels.js";
import { imageBytes } from "../../operators/image/image-bytes.js";
import { publish } from "../../operators/version/publish.js";
import { CutScheduler } from "../../pipelines/flow/cut-scheduler.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { LocalScoreIndex } from "../../pipelines/flow/score-index.js";
import { compact } from "../../pipelines/compact.js";
import { listQuarantine } from "../../pipelines/quarantine/quarantine.js";
import { retryQuarantined } from "../../pipelines/quarantine/retry-quarantined.js";
import { scoreTopic } from "../../pipelines/flow/score.js";
import type { ScoringParts } from "../../pipelines/open/open-scoring.js";
import type { Workspace } from "../../pipelines/open/workspace.js";
import { replay as replayLog } from "../../pipelines/replay.js";
import type { Config } from "../../schemas/config.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import { sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { Bug } from "./bug.js";
import type { Scenario } from "./scenario.js";
import { SimTable, type SimStore } from "./sim-store.js";
import type { SimLog } from "./sim-log.js";
import { CARD, NO_OPENER, simDecoder, simEngine, simOpener } from "./sim-teacher.js";
import type { SimProcess, World } from "./world.js";

export const TEACHER = teacherDigest(CARD);

/** What all processes of a simulated world share. */
export interface Place {
  readonly world: World;
  readonly store: SimStore;
  readonly log: SimLog;
  readonly seed: number;
  readonly side: Scenario["side"];
  readonly config: Config;
  /** When images that come late are there, ms */
  readonly lateFromMs: number;
  readonly scored: Map<number, number>;
  readonly bug: Bug | null;
  /** Labels that were answered, and where they start, as far as that was said */
  readonly said: { readonly start: number | null; readonly labels: readonly ImageLabel[] }[];
  /** Images that were recorded as erased, and when, ms */
  readonly erased: Map<string, number>;
  /** Attempts to publish that the last erasure had to leave: folders */
  readonly undecided: Set<string>;
  /** Teachers whose replays have come to their end */
  readonly replayed: Set<string>;
  /** A process says that records have left its flow */
  readonly onArchived: (process: SimProcess, partition: number, count: number) => void;
}

/** What scoring works with in one process. */
export function scoringOf(place: Place, process: SimProcess) {
  const { world, config, bug } = place;
  const log = place.log.for(process);
  return {
    config,
    log: { ...log, ...bug?.log?.(log) },
    store: storeOf(place, process),
    engine: simEngine(world, process, place.seed, place.scored),
    decoder: simDecoder,
    opener: simOpener(world, place.lateFromMs),
  };
}

/** A process's own clock, ms */
export function clockOf({ world }: Place, process: SimProcess): () => number {
  return () => world.nowMs + process.skewMs;
}

export const firstLine = (message: string): string => message.split("\n", 1)[0]!;

export function storeOf(place: Place, process: SimProcess): Store {
  const store = place.store.for(process);
  return place.bug?.store?.(store, place.world) ?? store;
}

interface CutWanted {
  readonly card: ModelCard;
  readonly dataset: Dataset;
  readonly span?: Span;
  readonly frontier: Frontier;
  readonly trigger: string;
  readonly automatic: boolean;
  readonly checkpoints?: boolean;
  readonly same?: Manifest | null;
}

/** Never the same twice: no two calls of a process are at one step. */
export function attemptOf({ world }: Place, process: SimProcess): string {
  return `${process.name.replace(/[^a-z0-9]/g, "")}n${world.steps}`;
}

/** The cut and its publication, with every clock and name given. */
async function cutAndPublish(place: Place, process: SimProcess, store: Store, wanted: CutWanted): Promise<Manifest> {
  const { world, bug, config } = place;
  const { automatic, same, ...options } = wanted;
  const seen = bug?.cutStore?.(store, wanted.frontier) ?? store;
  const made = await cut({ ...options, store: seen, stream: config.stream });
  const attempt = `${process.name}-${world.steps}`;
  const archive = { teacher: teacherDigest(options.card), stream: config.stream };
  const { read, expect } = imageBytes({ store, opener: NO_OPENER, archive });
  const { manifest } = await publish(bug?.cut?.(made) ?? made, {
    store,
    read,
    expect,
    sheets: null,
    automatic: bug?.automatic ?? automatic,
    ...(same === undefined ? {} : { same }),
    onConflict: "next",
    now: () => new Date(clockOf(place, process)()),
    codeVersion: "sim",
    attempt,
    commitId: attempt,
  });
  world.log(
    `${process.name} published ${manifest.dataset} ${manifest.number} ${manifest.id.slice(0, 8)} (${options.trigger})`,
  );
  return manifest;
}

/** Scores the log into the archive and publishes what is due, as `sluice ingest --follow` does, until `stop` or death. */
export async function scorer(place: Place, process: SimProcess, table: SimTable, stop: AbortController): Promise<void> {
  const { world } = place;
  const parts = scoringOf(place, process);
  const { config, store } = parts;
  const { stream } = config;
  const index = new LocalScoreIndex(store, table, { teacher: TEACHER, stream }, table.part("packs"));
  const nowMs = clockOf(place, process);
  let live: { readonly datasets: LiveDatasets; readonly scheduler: CutScheduler } | undefined;
  const guard = <T>(work: Promise<T>): Promise<T> => {
    work.catch((error: unknown) => {
      stop.abort(error);
    });
    return work;
  };
  const scored = guard(
    scoreTopic({
      ...parts,
      index,
      card: CARD,
      until: null,
      signal: stop.signal,
      nowMs,
      attempt: () => attemptOf(place, process),
      downstream: async (frontier) => {
        const kept = { store, datasets: config.datasets, teacher: TEACHER, stream, card: CARD, ...config.checkpoint };
        const datasets = await LiveDatasets.open(kept, frontier);
        const scheduler = await CutScheduler.open({ store, card: CARD, facts: datasets, frontier, nowMs: nowMs() });
        datasets.closedMs = () => scheduler.closedMs(nowMs());
        live = { datasets, scheduler };
        return datasets;
      },
      onSegment: ({ header }) => {
        live?.scheduler.observe(header, nowMs());
        place.onArchived(process, header.partition, header.counts.in - header.counts.lost);
        world.log(`${process.name} archived ${header.partition} [${header.start}, ${header.end})`);
      },
    }),
  );
  const isStopped = (): boolean => stop.signal.aborted;
  const judged = guard(
    (async () => {
      while (!isStopped()) {
        await world.pause(process, 200 + world.random.below(2_000));
        if (live === undefined || isStopped()) continue;
        const { datasets, scheduler } = live;
        const due = scheduler.due(nowMs());
        if (due.length === 0) continue;
        const frontier = await datasets.checkpoint();
        for (const one of due) {
          if (isStopped()) break;
          const manifest = await cutAndPublish(place, process, store, {
            ...one,
            card: CARD,
            frontier,
            automatic: true,
          });
          scheduler.published(one.dataset, manifest);
        }
      }
    })(),
  );
  await Promise.allSettled([scored, judged]);
  await scored;
  await judged;
}

/** A cut that somebody asks for: at the archive's end or at older segment boundaries, of one teacher's scores. */
export async function handCut(place: Place, process: SimProcess, wanted: HandCut): Promise<void> {
  const { config } = place;
  const store = storeOf(place, process);
  const { dataset, span, checkpoints, card } = wanted;
  const archive = { teacher: teacherDigest(card), stream: config.stream };
  const newest = await currentFrontier(store, archive);
  const frontier = wanted.older > 0 ? await olderFrontier(place, store, archive, newest, wanted.older) : newest;
  await cutAndPublish(place, process, store, {
    card,
    dataset,
    ...(span === null ? {} : { span }),
    frontier,
    checkpoints,
    trigger: "hand",
    automatic: false,
    same: null,
  });
}

export interface HandCut {
  readonly card: ModelCard;
  readonly dataset: Dataset;
  readonly span: Span | null;
  readonly checkpoints: boolean;
  /** 0: the archive's end; else chance in a thousand that a chain goes back by each of its segments */
  readonly older: number;
}

async function olderFrontier(
  place: Place,
  store: Store,
  archive: Archive,
  newest: Frontier,
  older: number,
): Promise<Frontier> {
  const chains = await archivedChains(store, archive);
  const ends: ChainEnd[] = [];
  for (const chain of chains) {
    const known = newest.find(({ partition, origin }) => partition === chain.partition && origin === chain.origin);
    const boundaries = [chain.origin];
    for await (const { end } of new ChainReader(store, chain).headers(chain.origin)) boundaries.push(end);
    let at = boundaries.filter((end) => end <= (known?.end ?? chain.origin)).length - 1;
    while (at > 0 && place.world.chance(older)) at--;
    ends.push({ partition: chain.partition, origin: chain.origin, end: boundaries[at]! });
  }
  return sortFrontier(ends);
}

/** Scores what the log has by now with a teacher, as `sluice replay` does, beside others that do the same. */
export async function replay(place: Place, process: SimProcess, card: ModelCard, stop: AbortController): Promise<void> {
  const { world } = place;
  const { config, log, store, ...parts } = scoringOf(place, process);
  const table = new SimTable(world, process, null);
  const tables = { table: (name: string) => table.part(name) } as unknown as Workspace["tables"];
  const workspace: Workspace = {
    config,
    folder: "",
    log,
    cluster: null,
    embedded: null,
    tables,
    store,
    close: () => Promise.resolve(),
  };
  const { left } = await replayLog({
    workspace,
    log,
    scoring: { ...parts, teacher: { card } as ScoringParts["teacher"] },
    ask: { from: { at: "start" }, until: { at: "now" } },
    onSegment: ({ header }) => {
      place.onArchived(process, header.partition, header.counts.in - header.counts.lost);
      world.log(`${process.name} archived ${header.partition}@${header.origin} [${header.start}, ${header.end})`);
    },
    onWarning: (message) => {
      world.log(`${process.name}: ${firstLine(message)}`);
    },
    signal: stop.signal,
    nowMs: clockOf(place, process),
    newId: () => attemptOf(place, process),
    attempt: () => attemptOf(place, process),
  });
  if (left === 0) place.replayed.add(teacherDigest(card));
}

/** Compacts what is archived, as `sluice compact` does; what runs have taken over is swept after a while. */
export async function compaction(place: Place, process: SimProcess, wanted: CompactionWanted): Promise<void> {
  const { world, config } = place;
  let files = 0;
  const done = await compact({
    store: storeOf(place, process),
    stream: config.stream,
    ...wanted,
    nowMs: clockOf(place, process),
    attempt: () => `${process.name}n${files++}`,
  });
  for (const { error } of done.refused) world.violate("runs", `${process.name} refuses: ${error.message}`);
  world.log(
    `${process.name} compacted ${done.segments} into ${done.runs}, merged ${done.merged}, swept ${done.swept.segments} and ${done.swept.files}`,
  );
}

export interface CompactionWanted {
  readonly teacher: string;
  readonly segmentsPerRun: number;
  readonly sweepAfterMs: number;
}

/** Says something of images, as `sluice label` does; what was answered must stay. */
export async function label(place: Place, process: SimProcess, labels: readonly ImageLabel[]): Promise<void> {
  const { start, end } = await appendLabels(storeOf(place, process), place.config.stream, labels);
  place.said.push({ start, labels });
  place.world.log(`${process.name} labelled [${start}, ${end})`);
}

/** Appends what is in quarantine once more, as `sluice quarantine retry` does. */
export async function retry(place: Place, process: SimProcess): Promise<void> {
  const store = storeOf(place, process);
  const log = place.log.for(process, true);
  const seen = place.bug?.producerLog?.(log) ?? log;
  const { appended } = await retryQuarantined(
    seen,
    listQuarantine(store, { teacher: TEACHER, stream: place.config.stream }, { codes: ["E_IMAGE_VANISHED"] }),
  );
  place.world.log(`${process.name} retried ${appended}`);
}
