import type { Log } from "../../connectors/log/log.js";
import type { Keeper } from "../../operators/archive/archive.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { SegmentCandidates } from "../../pipelines/kafka/segment-candidates.js";
import { ThresholdBoard, type PaneThresholds } from "../../pipelines/kafka/threshold-board.js";
import { TopicDownstream } from "../../pipelines/kafka/topic-downstream.js";
import type { TopicLog } from "../../pipelines/kafka/topic-log.js";
import { VersionNotices } from "../../pipelines/kafka/version-notices.js";
import { isSluiceError } from "../../schemas/errors.js";
import { decodeLabelSegment, encodeLabelSegment } from "../../schemas/image-label.js";
import type { LogRecord } from "../../schemas/image-record.js";
import type { Segment } from "../../schemas/segment.js";
import type { CandidatesMessage } from "../../schemas/wire/candidates.js";
import { decodeThresholds, encodeThresholds } from "../../schemas/wire/thresholds.js";
import { nextUp, replace, type Bug } from "./bug.js";

const CANDIDATES = "sluice-images-candidates";
const THRESHOLDS = "sluice-images-thresholds";
const LABELS = "sluice-images-labels";
const QUARANTINE = "sluice-images-quarantine";

/** Segments give the shards other messages than they should. */
const messagesWith = (change: (messages: CandidatesMessage[], segment: Segment) => CandidatesMessage[]) => () =>
  replace(SegmentCandidates.prototype, "messagesOf", (old) => ({
    value(this: SegmentCandidates, segment: Segment) {
      return change((old.value as SegmentCandidates["messagesOf"]).call(this, segment), segment);
    },
  }));

/** Records of one topic that become others as they are appended, or none. */
const appending =
  (topic: string, change: (records: readonly LogRecord[]) => readonly LogRecord[]) =>
  (log: TopicLog): Log => ({
    ...log,
    append: async (to, partition, records, cursor) => {
      const other = to === topic ? change(records) : records;
      return other.length === 0 ? 0 : log.append(to, partition, other, cursor);
    },
  });

/** What the board says of a pane, changed. */
const boardWith =
  (
    change: (
      found: PaneThresholds,
      of: ThresholdBoard["of"],
      parameters: string,
      pane: number,
    ) => PaneThresholds | null,
  ) =>
  () =>
    replace(ThresholdBoard.prototype, "of", (old) => ({
      value(this: ThresholdBoard, parameters: string, pane: number) {
        const of: ThresholdBoard["of"] = (...place) => (old.value as ThresholdBoard["of"]).call(this, ...place);
        const found = of(parameters, pane);
        return found === null ? null : change(found, of, parameters, pane);
      },
    }));

/** Bugs that only processes beside topics can have. */
export const TOPIC_BUGS: readonly Bug[] = (
  [
    {
      name: "last-shard-not-told",
      likelySeed: 4,
      what: "some segments send nothing to the last class shard, since it has no rows there",
      install: messagesWith((messages) =>
        messages.filter(
          ({ shard, shards, datasets }) =>
            shard === 0 ||
            shard < shards - 1 ||
            datasets.some(({ parts }) => parts.some(({ batch }) => batch.count > 0)),
        ),
      ),
    },
    {
      name: "candidates-to-the-wrong-shard",
      likelySeed: 6,
      what: "two class shards are sent each other's rows",
      install: messagesWith((messages) => {
        const [first, second] = messages;
        if (first === undefined || second === undefined) return messages;
        return [{ ...first, datasets: second.datasets }, { ...second, datasets: first.datasets }, ...messages.slice(2)];
      }),
    },
    {
      name: "message-of-the-rows-before",
      likelySeed: 3,
      what: "a message has the rows of the segment before",
      install: () => {
        let before: CandidatesMessage[] | undefined;
        return messagesWith((messages) => {
          const made = messages.map((message, at) => ({
            ...message,
            datasets: before?.[at]?.datasets ?? message.datasets,
          }));
          before = messages;
          return made;
        })();
      },
    },
    {
      name: "committed-before-told",
      likelySeed: 3,
      what: "a segment's end is committed, and then its candidates are sent",
      log: (log) => {
        const held: (() => Promise<unknown>)[] = [];
        return {
          ...log,
          append: async (topic, partition, records, cursor) => {
            if (topic !== CANDIDATES) return log.append(topic, partition, records, cursor);
            held.push(() => log.append(topic, partition, records, cursor));
            return 0;
          },
          consume: (topic, group, task, signal) =>
            log.consume(
              topic,
              group,
              (given) =>
                task({
                  ...given,
                  commit: async (offset) => {
                    await given.commit(offset);
                    for (const send of held.splice(0)) await send();
                  },
                }),
              signal,
            ),
        };
      },
    },
    {
      name: "takeover-does-not-send-again",
      likelySeed: 723,
      what: "a scorer that takes over a partition sends nothing of what its predecessor had archived and not committed",
      install: () => replace(TopicDownstream.prototype, "catchUp", () => ({ value: () => Promise.resolve() })),
    },
    {
      name: "worker-steps-over-a-gap",
      likelySeed: 667,
      what: "a worker takes a message for the chain's next one, though some before it were lost",
      install: () =>
        replace(LiveDatasets.prototype, "onCandidates", (old) => ({
          value(this: LiveDatasets, message: CandidatesMessage) {
            const from = Math.min(...this.datasets.map((dataset) => this.coverageOf(dataset).endIn(message)));
            const start = message.start > from ? from : message.start;
            return (old.value as LiveDatasets["onCandidates"]).call(this, { ...message, start });
          },
        })),
    },
    {
      name: "thresholds-too-high",
      likelySeed: 3,
      what: "published thresholds are a bit above the least key that is kept",
      log: appending(THRESHOLDS, (records) =>
        records.map((record) => {
          const told = decodeThresholds({ ...record, offset: 0 }, { topic: THRESHOLDS, partition: 0 });
          return told === null
            ? record
            : encodeThresholds({ ...told, keys: told.keys.map(nextUp) }, record.timestampMs);
        }),
      ),
    },
    {
      name: "thresholds-of-a-lost-checkpoint",
      likelySeed: 3,
      what: "thresholds are published of a checkpoint that was not written",
      store: (store) => ({
        ...store,
        putIfAbsent: async (key, bytes) =>
          key.startsWith("checkpoints/") && key.includes("/at/") ? "created" : store.putIfAbsent(key, bytes),
      }),
    },
    {
      name: "board-mixes-panes",
      likelySeed: 47,
      what: "candidates of a pane are pruned by the thresholds of the one before",
      install: boardWith((found, of, parameters, pane) => of(parameters, pane - 1) ?? found),
    },
    {
      name: "pruned-at-the-threshold-in-messages",
      likelySeed: 9,
      what: "candidates that tie with a threshold are not sent",
      install: boardWith((found) => ({ ...found, keys: found.keys.map(nextUp) })),
    },
    {
      name: "bytes-left-out-by-nobody",
      likelySeed: 38,
      what: "a segment does not say by which checkpoint's thresholds it left out bytes",
      install: () =>
        replace(ThresholdBoard.prototype, "keepers", (old) => ({
          value(this: ThresholdBoard) {
            return (old.value as () => Keeper[]).call(this).map((keeper) => ({ ...keeper, thresholdsAt: null }));
          },
        })),
    },
    {
      name: "quarantine-not-told",
      likelySeed: 3,
      what: "what a segment refuses is not told to the quarantine topic",
      log: appending(QUARANTINE, () => []),
    },
    {
      name: "labels-end-one-further",
      likelySeed: 5,
      what: "archived labels of the topic end one offset further",
      store: (store) => ({
        ...store,
        putIfAbsent: (key, bytes) => {
          if (!key.startsWith("labels/")) return store.putIfAbsent(key, bytes);
          const segment = decodeLabelSegment(bytes, key);
          return store.putIfAbsent(
            key,
            segment.partition === 0 ? bytes : encodeLabelSegment({ ...segment, end: segment.end + 1 }),
          );
        },
      }),
    },
    {
      name: "labels-worker-skips-one",
      likelySeed: 5,
      what: "what archives the labels topic passes over the first of several labels",
      log: (log) => ({
        ...log,
        consume: (topic, group, task, signal) =>
          log.consume(
            topic,
            group,
            (given) =>
              task({
                ...given,
                read: async function* (...how) {
                  for await (const batch of given.read(...how))
                    yield topic === LABELS && batch.records.length > 1
                      ? { ...batch, records: batch.records.slice(1) }
                      : batch;
                },
              }),
            signal,
          ),
      }),
    },
    {
      name: "label-answered-though-it-failed",
      what: "somebody who labels is answered though the topic did not take the label",
      log: (log) => ({
        ...log,
        append: async (topic, partition, records, cursor) => {
          try {
            return await log.append(topic, partition, records, cursor);
          } catch (error) {
            if (topic === LABELS && isSluiceError(error, "E_LOG_IO")) return 0;
            throw error;
          }
        },
      }),
    },
    {
      name: "orphans-not-told",
      what: "a publisher does not tell of versions whose publisher died before it could",
      install: () => {
        const begun = new WeakSet();
        return replace(VersionNotices.prototype, "send", (old) => ({
          value(this: VersionNotices) {
            if (begun.has(this)) return (old.value as VersionNotices["send"]).call(this);
            begun.add(this);
            return Promise.resolve(0);
          },
        }));
      },
    },
  ] satisfies Omit<Bug, "side">[]
).map((bug) => ({ ...bug, side: "topics" as const }));
