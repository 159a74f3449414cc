import { once } from "node:events";
import type { Allowance } from "../../schemas/allowance.js";
import type { Assignment } from "../../connectors/log/log.js";
import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { neverFires } from "../../operators/select/triggers.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { presentCard, readCards } from "../../operators/archive/teacher-registry.js";
import type { Config } from "../../schemas/config.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { groupName } from "../../schemas/kafka-names.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { Observer } from "../../schemas/observed.js";
import type { OnProgress } from "../../schemas/progress.js";
import { archivedTeacher } from "../rebuild.js";
import { ArchiveFacts } from "../flow/archive-facts.js";
import { ArchiveFollower } from "../flow/archive-follower.js";
import type { PublishedCut } from "../versions/cut-and-publish.js";
import { CutScheduler, neverFiresText } from "../flow/cut-scheduler.js";
import { DuePublisher } from "../versions/due-publisher.js";
import { keepRunning } from "../flow/keep-running.js";
import { namedTeacher } from "../open/open-scoring.js";
import { sleepUntil } from "../flow/sleep-until.js";
import { ThresholdBoard } from "./threshold-board.js";
import { VersionNotices } from "./version-notices.js";
import { assertTopics } from "./topics.js";
import type { TopicLog } from "./topic-log.js";

export interface RunPublishOptions {
  readonly config: Config;
  readonly kafka: KafkaConfig;
  readonly log: TopicLog;
  readonly store: Store;
  readonly card: ModelCard;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** How often the archive and the triggers are looked at, ms */
  readonly judgeMs: number;
  /** Asked before anything is published; throws where it must not be */
  readonly mayPublish?: () => Promise<void>;
  readonly onPublished?: (published: PublishedCut) => void;
  /** What is published although nobody could want it; by default nothing is */
  readonly allow?: Allowance | undefined;
  readonly onProgress?: OnProgress;
  readonly observer?: Observer | undefined;
  readonly onWarning: (message: string, code?: string) => void;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** Another one at each call */
  readonly newId: () => string;
}

/**
 * archive -> triggers -> cut -> training set -> versions topic, until stopped. Of several publishers that one works which
 * Kafka gives the candidates topic's first partition, and the others stand by; two at once would do no harm. It follows
 * the archive itself, not the messages: what it commits says how far.
 */
export async function runPublish(options: RunPublishOptions): Promise<void> {
  const { config, kafka, log, card, signal, onWarning, observer, nowMs } = options;
  await assertTopics(log, config, kafka, ["candidates", "thresholds", "versions"]);
  for (const dataset of config.datasets.filter(neverFires)) onWarning(neverFiresText(dataset, PUBLISHED_BY_HAND));
  const group = groupName(config, "publish", teacherDigest(card));
  const task = async (assignment: Assignment): Promise<void> => {
    const given = AbortSignal.any([assignment.signal, signal]);
    if (assignment.partition === 0) await publishWhileGiven(options, assignment, given);
    else await untilAborted(given);
  };
  const work = (): Promise<void> => {
    // Of several publishers all but one stand by.
    observer?.take({ event: "loop.ready", loop: "publish" });
    return log.consume(kafka.topics.candidates, group, task, signal);
  };
  await keepRunning(work, { signal, onWarning, nowMs, loop: "publish", observer });
}

/** Of several publishers none knows that it is the last one to stop: none publishes then. */
export const PUBLISHED_BY_HAND = "no publisher ever publishes it, not at a stop either; `sluice rebuild` does";

async function publishWhileGiven(
  options: RunPublishOptions,
  assignment: Assignment,
  given: AbortSignal,
): Promise<void> {
  const { config, kafka, log, store, card, judgeMs, onWarning, nowMs } = options;
  const { stream, datasets } = config;
  const teacher = teacherDigest(card);
  const notices = await VersionNotices.open({ log, topic: kafka.topics.versions, store, stream, datasets, onWarning });
  await notices.send();
  const board = new ThresholdBoard({ ...config, ...kafka, ...options, topic: kafka.topics.thresholds, teacher });
  await board.refresh();
  const frontier = await currentFrontier(store, { teacher, stream });
  const countsOf = (dataset: Dataset, span: Span): Iterable<number> => board.countsOf(dataset, span);
  const facts = await ArchiveFacts.restore({ store, teacher, stream, card, datasets, countsOf }, frontier);
  await facts.catchUp(frontier);
  const scheduler = await CutScheduler.open({ store, card, facts, frontier, nowMs: nowMs() });
  const follower = new ArchiveFollower(store, { teacher, stream }, frontier, (segment) => {
    facts.onSegment(segment);
    scheduler.observe(segment.header, nowMs());
    return Promise.resolve();
  });
  const publisher = new DuePublisher({
    ...options,
    stream,
    scheduler,
    traced: board.traced,
    onRefused: ({ error }) => {
      onWarning(error.message, error.code);
    },
  });
  let committed = await assignment.committed();
  while (!given.aborted) {
    options.observer?.take({ event: "loop.turned", loop: "publish" });
    // What was told of before the archive is read is in it.
    const told = (await log.ends(kafka.topics.candidates))[assignment.partition]?.end ?? 0;
    const reached = await follower.follow();
    await board.refresh();
    for (const { dataset, judgement } of scheduler.judge(nowMs())) if (judgement.fired) await publisher.learn(dataset);
    const due = scheduler.due(nowMs());
    const { published } = await publisher.publish(due, reached, given);
    if (published.some(({ outcome }) => outcome === "created")) await notices.send();
    if (told !== committed) {
      await assignment.commit(told);
      committed = told;
    }
    await sleepUntil(judgeMs, given);
  }
  options.observer?.take({ event: "loop.idle", loop: "publish" });
}

/**
 * The card of the teacher whose scores are published: one that has scored, by the first digits of its digest; else the
 * one that is named, or else the declared one, whose files need not be here once it has scored; else the only one that has
 * scored. Throws E_TEACHER_CARD.
 */
export async function publishersCard(
  config: Config,
  store: Store,
  prefix: string | undefined,
  declared: DeclaredTeacher | null = null,
): Promise<ModelCard> {
  if (prefix !== undefined) return (await archivedTeacher(store, prefix)).card;
  const scored = declared === null ? undefined : (await readCards(store)).get(declared.digest);
  if (scored !== undefined) return scored;
  if (config.teacher !== undefined) return presentCard(store, (await namedTeacher(config, declared)).card);
  return (await archivedTeacher(store)).card;
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
