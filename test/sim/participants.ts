import type { Store } from "../../connectors/store/store.js";
import { archiveLoss, type ArchiveOptions } from "../../operators/archive/archive.js";
import { liveChains } from "../../operators/archive/chain.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { cut } from "../../operators/state/cut.js";
import { Dedupe } from "../../operators/image/dedupe.js";
import { appendLabels } from "../../operators/archive/image-labels.js";
import { imageBytes } from "../../operators/image/image-bytes.js";
import { publish } from "../../operators/version/publish.js";
import { CutScheduler } from "../../pipelines/flow/cut-scheduler.js";
import { ByteBudget } from "../../pipelines/flow/flow.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { scoreFlow } from "../../pipelines/flow/score-flow.js";
import { LocalScoreIndex } from "../../pipelines/flow/score-index.js";
import { compact } from "../../pipelines/compact.js";
import { listQuarantine } from "../../pipelines/quarantine/quarantine.js";
import { retryQuarantined } from "../../pipelines/quarantine/retry-quarantined.js";
import { scoreTopic } from "../../pipelines/flow/score.js";
import type { Config } from "../../schemas/config.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import { sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { ChainName } from "../../schemas/keys.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { ENGINE } from "../fixtures/archive.js";
import type { Bug } from "./bug.js";
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
  readonly config: Config;
  /** When images that come late are there, ms */
  readonly lateFromMs: number;
  readonly scored: Map<number, number>;
  readonly bug: Bug | null;
  /** Labels that were answered, by their first offset */
  readonly said: Map<number, readonly ImageLabel[]>;
  /** A process says that records have left its flow */
  readonly onArchived: (process: SimProcess, partition: number, count: number) => void;
}

function storeOf(place: Place, process: SimProcess): Store {
  const store = place.store.for(process);
  return place.bug?.store?.(store, place.world) ?? store;
}

interface CutWanted {
  readonly dataset: Dataset;
  readonly span?: Span;
  readonly frontier: Frontier;
  readonly trigger: string;
  readonly automatic: boolean;
  readonly checkpoints?: boolean;
  readonly same?: Manifest | null;
}

/** Never the same twice: no two calls of a process are at one step. */
function attemptOf({ world }: Place, process: SimProcess): string {
  return `${process.name.replace(/[^a-z0-9]/g, "")}n${world.steps}`;
}

/** The cut and its publication, with every clock and name given. */
async function cutAndPublish(place: Place, process: SimProcess, store: Store, wanted: CutWanted): Promise<Manifest> {
  const { world, bug, config } = place;
  const { automatic, same, ...options } = wanted;
  const seen = bug?.cutStore?.(store, wanted.frontier) ?? store;
  const made = await cut({ ...options, store: seen, card: CARD, stream: config.stream });
  const attempt = `${process.name}-${world.steps}`;
  const archive = { teacher: TEACHER, stream: config.stream };
  const { read, expect } = imageBytes({ store, opener: NO_OPENER, archive });
  const { manifest } = await publish(bug?.cut?.(made) ?? made, {
    store,
    read,
    expect,
    sheets: null,
    automatic: bug?.automatic ?? automatic,
    ...(same === undefined ? {} : { same }),
    onConflict: "next",
    now: () => new Date(world.nowMs),
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
export async function scorer(
  place: Place,
  process: SimProcess,
  mine: (partition: number) => boolean,
  disk: SimTable | null,
  stop: AbortController,
): Promise<void> {
  const { world, config, bug } = place;
  const store = storeOf(place, process);
  const simulatedLog = place.log.for(process, mine);
  const table = new SimTable(world, process, disk);
  const { stream } = config;
  const index = new LocalScoreIndex(store, table, { teacher: TEACHER, stream }, table.part("packs"));
  let live: { readonly datasets: LiveDatasets; readonly scheduler: CutScheduler } | undefined;
  const guard = <T>(work: Promise<T>): Promise<T> => {
    work.catch((error: unknown) => {
      stop.abort(error);
    });
    return work;
  };
  const scored = guard(
    scoreTopic({
      config,
      log: bug?.log?.(simulatedLog) ?? simulatedLog,
      store,
      index,
      card: CARD,
      engine: simEngine(world, process, place.seed, place.scored),
      decoder: simDecoder,
      opener: simOpener(world, place.lateFromMs),
      until: null,
      signal: stop.signal,
      nowMs: () => world.nowMs,
      attempt: () => attemptOf(place, process),
      downstream: async (frontier) => {
        const kept = { store, datasets: config.datasets, teacher: TEACHER, stream, card: CARD, ...config.checkpoint };
        const datasets = await LiveDatasets.open(kept, frontier);
        const scheduler = await CutScheduler.open({ store, card: CARD, facts: datasets, frontier, nowMs: world.nowMs });
        datasets.closedMs = () => scheduler.closedMs(world.nowMs);
        live = { datasets, scheduler };
        return datasets;
      },
      onSegment: ({ header }) => {
        live?.scheduler.observe(header, world.nowMs);
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
        const due = scheduler.due(world.nowMs);
        if (due.length === 0) continue;
        const frontier = await datasets.checkpoint();
        for (const one of due) {
          if (isStopped()) break;
          const manifest = await cutAndPublish(place, process, store, { ...one, frontier, automatic: true });
          scheduler.published(one.dataset, manifest);
        }
      }
    })(),
  );
  await Promise.allSettled([scored, judged]);
  await scored;
  await judged;
}

/** A cut that somebody asks for: at the archive's end, at older segment boundaries, or with a replay beside. */
export async function handCut(place: Place, process: SimProcess, wanted: HandCut): Promise<void> {
  const { config } = place;
  const store = storeOf(place, process);
  let frontier = await currentFrontier(store, { teacher: TEACHER, stream: config.stream });
  if (wanted.older > 0) frontier = await olderFrontier(place, store, frontier, wanted.older);
  if (wanted.replay !== null) {
    const end = await new ChainReader(store, wanted.replay).end(wanted.replay.origin);
    const { partition, origin } = wanted.replay;
    frontier = sortFrontier([...frontier, { partition, origin, end }]);
  }
  const { dataset, span, checkpoints } = wanted;
  await cutAndPublish(place, process, store, {
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
  readonly dataset: Dataset;
  readonly span: Span | null;
  readonly checkpoints: boolean;
  /** 0: the archive's end; else chance in a thousand that a chain goes back by each of its segments */
  readonly older: number;
  readonly replay: ChainName | null;
}

async function olderFrontier(place: Place, store: Store, newest: Frontier, older: number): Promise<Frontier> {
  const chains = await liveChains(store, { teacher: TEACHER, stream: place.config.stream });
  const ends: ChainEnd[] = [];
  for (const chain of chains) {
    const known = newest.find(({ partition }) => partition === chain.partition);
    const boundaries = [chain.origin];
    for await (const { end } of new ChainReader(store, chain).headers(chain.origin)) boundaries.push(end);
    let at = boundaries.filter((end) => end <= (known?.end ?? chain.origin)).length - 1;
    while (at > 0 && place.world.chance(older)) at--;
    ends.push({ partition: chain.partition, origin: chain.origin, end: boundaries[at]! });
  }
  return sortFrontier(ends);
}

/** Scores a range of the log again, into a chain of its own origin. A fresh index: nothing is copied from the live chain. */
export async function replay(place: Place, process: SimProcess, chain: ChainName, end: number): Promise<void> {
  const { world, config } = place;
  const store = storeOf(place, process);
  const log = place.log.for(process, (partition) => partition === chain.partition);
  let position = { end: chain.origin, watermarkMs: null as number | null };
  for await (const header of new ChainReader(store, chain).headers(chain.origin)) position = header;
  const archive: ArchiveOptions = {
    store,
    chain,
    topM: config.archive.topM,
    classCount: null,
    embeddingSize: null,
    engine: ENGINE,
    codeVersion: "sim",
    retainBytes: "winners",
    keepers: () => [],
    attempt: () => attemptOf(place, process),
  };
  const { start } = place.log.partitions[chain.partition]!;
  if (start > position.end)
    position = (await archiveLoss(position, start, "removed before the replay", archive)).header;
  const stop = new AbortController();
  await log.consume(
    config.stream,
    "replay",
    async (assignment) => {
      const flow = scoreFlow(
        {
          partition: chain.partition,
          read: async function* (offset, how) {
            let at = offset;
            for await (const batch of assignment.read(offset, how)) {
              // Retention was quicker: the next replay goes on behind what is lost.
              if (place.log.partitions[chain.partition]!.start > at) return;
              yield batch;
              at = batch.end;
            }
          },
          config,
          card: CARD,
          engine: simEngine(world, process, place.seed, place.scored),
          decoder: simDecoder,
          opener: simOpener(world, place.lateFromMs),
          dedupe: new Dedupe({ find: () => null }),
          budget: new ByteBudget(config.maxInFlightBytes),
          archive,
          decodeConcurrency: 2,
          nowMs: () => world.nowMs,
          until: Promise.resolve(end),
        },
        position,
      );
      for await (const { header } of flow) {
        place.onArchived(process, header.partition, header.counts.in);
        world.log(`${process.name} archived ${header.partition}@${header.origin} [${header.start}, ${header.end})`);
      }
      stop.abort();
    },
    stop.signal,
  );
}

/** Compacts what is archived, as `sluice compact` does; what runs have taken over is swept after a while. */
export async function compaction(place: Place, process: SimProcess, wanted: CompactionWanted): Promise<void> {
  const { world, config } = place;
  let files = 0;
  const done = await compact({
    store: storeOf(place, process),
    teacher: TEACHER,
    stream: config.stream,
    ...wanted,
    nowMs: () => world.nowMs,
    attempt: () => `${process.name}n${files++}`,
  });
  for (const { error } of done.refused) world.violate("runs", `${process.name} refuses: ${error.message}`);
  world.log(
    `${process.name} compacted ${done.segments} into ${done.runs}, merged ${done.merged}, swept ${done.swept.segments} and ${done.swept.files}`,
  );
}

export interface CompactionWanted {
  readonly segmentsPerRun: number;
  readonly sweepAfterMs: number;
}

/** Says something of images, as `sluice label` does; what was answered must stay. */
export async function label(place: Place, process: SimProcess, labels: readonly ImageLabel[]): Promise<void> {
  const { start, end } = await appendLabels(storeOf(place, process), place.config.stream, labels);
  place.said.set(start, labels);
  place.world.log(`${process.name} labelled [${start}, ${end})`);
}

/** Appends what is in quarantine once more, as `sluice quarantine retry` does. */
export async function retry(place: Place, process: SimProcess): Promise<void> {
  const store = storeOf(place, process);
  const log = place.log.for(process, () => false, true);
  const seen = place.bug?.producerLog?.(log) ?? log;
  const { appended } = await retryQuarantined(
    seen,
    listQuarantine(store, { teacher: TEACHER, stream: place.config.stream }, { codes: ["E_IMAGE_VANISHED"] }),
  );
  place.world.log(`${process.name} retried ${appended}`);
}
