import { keepRunning } from "../../pipelines/flow/keep-running.js";
import { LocalScoreIndex } from "../../pipelines/flow/score-index.js";
import { scoreTopic } from "../../pipelines/flow/score.js";
import { runLabels } from "../../pipelines/kafka/run-labels.js";
import { runPublish } from "../../pipelines/kafka/run-publish.js";
import { runTopk } from "../../pipelines/kafka/run-topk.js";
import { sayOnTopic } from "../../pipelines/kafka/take-in-labels.js";
import { TopicDownstream } from "../../pipelines/kafka/topic-downstream.js";
import { ALL_ALLOWED } from "../../schemas/allowance.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import { attemptOf, clockOf, firstLine, scoringOf, TEACHER, type Place } from "./participants.js";
import type { SimTable } from "./sim-store.js";
import { CARD, NO_OPENER } from "./sim-teacher.js";
import type { SimProcess } from "./world.js";

/** What the processes beside the simulated broker share. */
function partsOf(place: Place, process: SimProcess) {
  const { config, log, store } = scoringOf(place, process);
  const onWarning = (message: string): void => {
    place.world.log(`${process.name}: ${firstLine(message)}`);
  };
  return { config, kafka: config.kafka!, log, store, card: CARD, onWarning, nowMs: clockOf(place, process) };
}

/** Scores images and sends their candidates, as `sluice run score` does. */
export async function topicScorer(
  place: Place,
  process: SimProcess,
  table: SimTable,
  { signal }: AbortController,
): Promise<void> {
  const { world } = place;
  const { kafka, onWarning, nowMs, ...parts } = partsOf(place, process);
  const { config, store } = parts;
  const { stream } = config;
  const options = { ...config, ...kafka, ...parts, teacher: TEACHER, onWarning, nowMs };
  const index = new LocalScoreIndex(store, table, { teacher: TEACHER, stream }, table.part("packs"));
  const work = async (): Promise<void> => {
    await scoreTopic({
      ...scoringOf(place, process),
      ...parts,
      index,
      until: null,
      retry: (one, given) => keepRunning(one, { signal: given, onWarning, nowMs }),
      downstream: () => Promise.resolve(new TopicDownstream(options)),
      onSegment: ({ header }) => {
        place.onArchived(process, header.partition, header.counts.in - header.counts.lost);
        world.log(`${process.name} archived ${header.partition} [${header.start}, ${header.end})`);
      },
      onWarning,
      signal,
      nowMs,
      attempt: () => attemptOf(place, process),
    });
  };
  await keepRunning(work, { signal, onWarning, nowMs });
}

/** Keeps class shards, as `sluice run topk` does. */
export async function topkWorker(place: Place, process: SimProcess, { signal }: AbortController): Promise<void> {
  await runTopk({ ...partsOf(place, process), checkpointMs: 1_500, signal });
}

/** Publishes what is due, as `sluice run publish` does. */
export async function publisher(place: Place, process: SimProcess, { signal }: AbortController): Promise<void> {
  let names = 0;
  await runPublish({
    ...partsOf(place, process),
    opener: NO_OPENER,
    sheets: null,
    judgeMs: 1_000,
    allow: ALL_ALLOWED,
    onPublished: ({ manifest }) => {
      place.world.log(`${process.name} published ${manifest.dataset} ${manifest.number} ${manifest.id.slice(0, 8)}`);
    },
    signal,
    newId: () => `${process.name}n${names++}`,
  });
}

/** Archives what the labels topic says, as `sluice run labels` does. */
export async function labelWorker(place: Place, process: SimProcess, { signal }: AbortController): Promise<void> {
  await runLabels({ ...partsOf(place, process), signal });
}

/** Says something of images on the labels topic, as `sluice label` does; what was answered must stay. */
export async function labelOnTopic(place: Place, process: SimProcess, labels: readonly ImageLabel[]): Promise<void> {
  const { config, kafka, ...parts } = partsOf(place, process);
  await sayOnTopic({ ...parts, stream: config.stream, topics: kafka.topics }, labels);
  place.said.push({ start: null, labels });
  place.world.log(`${process.name} labelled ${labels.length} on the topic`);
}
