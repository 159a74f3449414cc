import type { Assignment } from "../../connectors/log/log.js";
import { partitionOfKey } from "../../connectors/log/kafka/partition.js";
import { Account } from "../../connectors/source/account.js";
import { objectReasons, objectRecord } from "../../connectors/source/bucket-object.js";
import { counted } from "../../schemas/counted.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { encodeImageRecord, type LogRecord, type StoredRecord } from "../../schemas/image-record.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { groupPrefix } from "../../schemas/kafka-names.js";
import type { Observer } from "../../schemas/observed.js";
import type { PassedOverReason } from "../../schemas/source-account.js";
import { decodeBucketNotices, type BucketNotice } from "../../schemas/wire/bucket-notices.js";
import { keepRunning } from "../flow/keep-running.js";
import type { BucketPlace } from "../open/bucket-place.js";
import { tellRefused } from "./told-quarantine.js";
import type { TopicLog } from "./topic-log.js";

export interface RunWatchOptions {
  readonly stream: string;
  readonly kafka: KafkaConfig;
  readonly log: TopicLog;
  /** What is watched: objects of other places are passed over */
  readonly places: readonly BucketPlace[];
  /** Globs on the key below its place; undefined: all */
  readonly include: readonly string[] | undefined;
  /** Whether an object is the store's own: what Sluice writes into a bucket that it watches must not come back as images */
  readonly isStores: (bucket: string, key: string) => boolean;
  /** Counts what the notices had, and what became of it */
  readonly account: Account;
  readonly onAppended: (records: number) => void;
  readonly onWarning: (message: string, code?: string) => void;
  readonly observer?: Observer | undefined;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

const AT_A_TIME = { maxRecords: 500, maxBytes: 4 * 1024 * 1024 };

/**
 * A bucket's notifications -> the images topic, until stopped: what is uploaded, by reference. A member of the stream's own group: several share the
 * partitions. Committed is what was appended, so that a watcher that was killed appends some records once more; the scorers know such a repeat by its digest.
 */
export async function runWatch(options: RunWatchOptions): Promise<void> {
  const { stream, kafka, log, onWarning, observer, signal, nowMs } = options;
  const { events } = kafka.topics;
  if ((await log.describeTopic(events, [])) === null) {
    throw new SluiceError(
      "E_LOG_IO",
      `Expected a topic "${events}" that the bucket's notifications go to, found none. Make it, let the bucket send there (docs/sources.md), or name another with --events.`,
    );
  }
  const watcher = new Watcher(options);
  const group = groupPrefix({ stream, kafka }, "watch");
  const work = (): Promise<void> => {
    observer?.take({ event: "loop.ready", loop: "watch" });
    return log.consume(events, group, (assignment) => watcher.watch(assignment), signal);
  };
  await keepRunning(work, { signal, onWarning, nowMs, loop: "watch", observer });
}

class Watcher {
  readonly #options: RunWatchOptions;
  readonly #reasonAgainst: (below: string) => PassedOverReason | null;
  #appended = 0;

  constructor(options: RunWatchOptions) {
    this.#options = options;
    this.#reasonAgainst = objectReasons(options.include);
  }

  async watch(assignment: Assignment): Promise<void> {
    for await (const { records, end } of assignment.read(await this.#startOf(assignment), AT_A_TIME)) {
      if (records.length > 0) await this.#take(assignment.partition, records);
      await assignment.commit(end);
    }
  }

  async #startOf(assignment: Assignment): Promise<number> {
    const { log, kafka, onWarning } = this.#options;
    const { partition } = assignment;
    const place = `${kafka.topics.events}/${partition}`;
    const { start, end } = (await log.ends(kafka.topics.events))[partition] ?? { start: 0, end: 0 };
    const committed = (await assignment.committed()) ?? start;
    const listing =
      "`sluice produce s3://…` lists the bucket and takes what it has not taken, so that nothing stays away.";
    if (committed > end) {
      onWarning(
        `Expected ${place} to reach offset ${committed}, where this watcher was, found its end at ${end}: the topic was made anew. It is read from its start. ${listing}`,
      );
      return start;
    }
    if (committed < start) {
      onWarning(
        `Expected ${place} to go on at offset ${committed}, found that it starts at ${start}: ${counted(start - committed, "offset")} between them went before they were read. ${listing}`,
      );
    }
    return Math.max(committed, start);
  }

  /** Appends the images that the notices tell of; what does not read as a notice is told to the quarantine topic first. */
  async #take(partition: number, records: readonly StoredRecord[]): Promise<void> {
    const { log, stream, observer, onAppended } = this.#options;
    const partitions = (await log.ends(stream)).length;
    const images = new Map<number, LogRecord[]>();
    const counts: (() => void)[] = [];
    for (const record of records) {
      for (const notice of await this.#noticesOf(partition, record, counts)) {
        const image = this.#imageOf(notice, counts);
        if (image === null) continue;
        // An object's own partition: a notice that comes twice is known there by one scorer.
        const to = partitionOfKey(Buffer.from(image.headers["sluice-uri"] ?? ""), partitions);
        images.set(to, [...(images.get(to) ?? []), image]);
      }
    }
    for (const [to, group] of images) {
      await log.append(stream, to, group);
      this.#appended += group.length;
      observer?.take({ event: "log.appended", records: group.length });
      onAppended(this.#appended);
    }
    // Notices whose append fails are read again, and counted then.
    const before = this.#totals();
    for (const count of counts) count();
    const after = this.#totals();
    observer?.take({
      event: "notices.read",
      taken: after.taken - before.taken,
      passedOver: after.passedOver - before.passedOver,
      refused: after.refused - before.refused,
    });
  }

  #totals() {
    const { taken, passedOver } = this.#options.account.read();
    const all = Object.values(passedOver).reduce((sum, { count }) => sum + count, 0);
    const refused = passedOver.refused?.count ?? 0;
    return { taken, passedOver: all - refused, refused };
  }

  /** Puts into `counts` what is to be counted once the notices' images are appended. */
  async #noticesOf(partition: number, record: StoredRecord, counts: (() => void)[]): Promise<readonly BucketNotice[]> {
    const { log, kafka, account, onWarning, nowMs } = this.#options;
    const topic = kafka.topics.events;
    const place = `${topic}/${partition}/${record.offset}`;
    try {
      const notices = decodeBucketNotices(record, { topic, partition });
      if (notices.length === 0) {
        counts.push(() => {
          account.give();
          account.passOver("testNotice", place);
        });
      }
      return notices;
    } catch (error) {
      if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
      onWarning(error.message, error.code);
      counts.push(() => {
        account.give();
        account.passOver("refused", place);
      });
      await tellRefused(record, { topic, partition }, error, { log, topic: kafka.topics.quarantine, nowMs });
      return [];
    }
  }

  /** null where the notice is of no image of the run, which is counted */
  #imageOf({ what, bucket, key, timeMs, event }: BucketNotice, counts: (() => void)[]): LogRecord | null {
    const { places, account, isStores } = this.#options;
    const reason = this.#reasonOf(
      what,
      places.find((one) => one.bucket === bucket && key.startsWith(one.prefix)),
      key,
      () => isStores(bucket, key),
    );
    if (reason !== null) {
      counts.push(() => {
        account.give();
        account.passOver(reason, `s3://${bucket}/${key}${reason === "otherNotice" ? ` (${event})` : ""}`);
      });
      return null;
    }
    counts.push(() => {
      account.give();
      account.take();
    });
    return encodeImageRecord(objectRecord(bucket, key, timeMs));
  }

  #reasonOf(
    what: BucketNotice["what"],
    place: BucketPlace | undefined,
    key: string,
    isStores: () => boolean,
  ): PassedOverReason | null {
    if (place === undefined) return "elsewhere";
    if (what !== "created") return what === "removed" ? "removed" : "otherNotice";
    return isStores() ? "store" : this.#reasonAgainst(key.slice(place.prefix.length));
  }
}
