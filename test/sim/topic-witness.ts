import type { SeededRandom } from "../../operators/training/seeded-random.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { paneOf, paneSpan } from "../../operators/select/windows.js";
import { canonicalJson } from "../../schemas/canonical.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import { DIRECT_LABELS, topicLabels } from "../../schemas/image-label.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { groupName, groupPrefix } from "../../schemas/kafka-names.js";
import { decodeCandidates, type CandidatesMessage } from "../../schemas/wire/candidates.js";
import { decodeLabel } from "../../schemas/wire/labels.js";
import { decodePublished } from "../../schemas/wire/published.js";
import { decodeQuarantined } from "../../schemas/wire/quarantined.js";
import { decodeThresholds, type Thresholds } from "../../schemas/wire/thresholds.js";
import {
  promisedRanks,
  readArchive,
  readLabels,
  segmentsBelow,
  sortEverything,
  type ArchivedSegment,
} from "./model.js";
import { TEACHER, type Place } from "./participants.js";
import { CARD, CLASSES } from "./sim-teacher.js";

/** Thresholds that are looked at in the end, of all that were published */
const MOST_THRESHOLDS = 40;

/** What was told to the topics beside that of images, whatever became of the messages. */
export class TopicWitness {
  readonly #place: Place;
  /** `partition/origin/start/shard` of every candidates message */
  readonly #candidates = new Set<string>();
  readonly #segments: ArchivedSegment["header"][] = [];
  /** Segments as first written, by `partition/origin/start` */
  readonly #written = new Map<string, ArchivedSegment>();
  /** Shards whose next message is lost although the broker has taken it */
  readonly #losesNext = new Set<number>();
  readonly #thresholds: Thresholds[] = [];
  /** `partition/offset` of every message of the quarantine topic */
  readonly #quarantined = new Set<string>();
  readonly #labels: { readonly offset: number; readonly label: ImageLabel }[] = [];
  /** `dataset/number` */
  readonly #notices = new Set<string>();
  /** By group and partition */
  readonly #committed = new Map<string, number>();

  constructor(place: Place) {
    this.#place = place;
    const { log } = place;
    log.onTold = (topic, partition, records) => {
      for (const record of records) this.#onTold(topic, partition, record);
    };
    log.broker.onCommit = (topic, group, partition, offset) => {
      if (topic === log.stream && group.startsWith(groupPrefix(place.config, "score")))
        this.#onCommit(partition, offset);
    };
  }

  get #topics() {
    return this.#place.config.kafka!.topics;
  }

  onSegment(segment: ArchivedSegment): void {
    const { header } = segment;
    if (header.teacher !== TEACHER) return;
    this.#segments.push(header);
    this.#written.set(`${header.partition}/${header.origin}/${header.start}`, segment);
  }

  /** What is told of a segment is what was archived. */
  #checkMessage(message: CandidatesMessage): void {
    const { partition, origin, start, end, datasets } = message;
    const name = `${partition}/${origin}/${start}`;
    const archived = this.#written.get(name);
    const rows = new Map((archived?.rows ?? []).map((row) => [row.offset, row]));
    const isArchived = ({ count, classes, keys, identity, offset }: CandidateBatch): boolean =>
      Array.from({ length: count }, (_, at) => at).every((at) => {
        const row = rows.get(offset[at]!);
        const words = Array.from(identity.subarray(4 * at, 4 * at + 4), (word) => word.toString(16).padStart(8, "0"));
        return row?.sha256.startsWith(words.join("")) && row.keys[row.classes.indexOf(classes[at]!)] === keys[at];
      });
    const isTrue = datasets.every(({ parts }) => parts.every(({ batch }) => isArchived(batch)));
    if (archived?.header.end === end && isTrue) return;
    this.#place.world.violate("told", `shard ${message.shard} was told of ${name} what is not archived there`);
  }

  #onTold(topic: string, partition: number, record: StoredRecord): void {
    const place = { topic, partition };
    try {
      if (topic === this.#topics.candidates) {
        const message = decodeCandidates(record, place);
        const { partition: of, origin, start, shard } = message;
        // What comes again behind others was told before.
        if (message.teacher === TEACHER) this.#checkMessage(message);
        this.#candidates.add(`${of}/${origin}/${start}/${shard}`);
        if (this.#losesNext.delete(partition))
          this.#place.log.broker.partition(topic, partition).records.delete(record.offset);
      } else if (topic === this.#topics.thresholds) {
        const told = decodeThresholds(record, place);
        if (told !== null) this.#thresholds.push(told);
      } else if (topic === this.#topics.quarantine) {
        const { stream, partition: of, offset } = decodeQuarantined(record, place);
        if (stream === this.#place.config.stream) this.#quarantined.add(`${of}/${offset}`);
      } else if (topic === this.#topics.labels) {
        this.#labels.push({ offset: record.offset, label: decodeLabel(record, place) });
      } else if (topic === this.#topics.versions) {
        const { dataset, number } = decodePublished(record, place);
        this.#notices.add(`${dataset}/${number}`);
      }
    } catch (error) {
      // Garbage, put there on purpose.
      if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
    }
  }

  /** What scorers have committed is archived, has been told to every shard, and never goes back. */
  #onCommit(partition: number, offset: number): void {
    const { world, config } = this.#place;
    const before = this.#committed.get(String(partition)) ?? 0;
    this.#committed.set(String(partition), offset);
    if (offset < before) world.violate("committed", `${partition} goes back from ${before} to ${offset}`);
    const ends = this.#segments.filter((one) => one.partition === partition).map(({ end }) => end);
    if (offset > Math.max(0, ...ends)) world.violate("committed", `${partition} at ${offset}, which is not archived`);
    if (this.#place.side !== "topics") return;
    // A replay's segments are told to nobody: workers read them.
    const live = Math.max(
      0,
      ...this.#segments.filter((one) => one.partition === partition).map(({ origin }) => origin),
    );
    for (const { start, end, origin, partition: of, rejected } of this.#segments) {
      if (of !== partition || origin !== live || end > offset || end <= before) continue;
      const untold = rejected.find((one) => !this.#quarantined.has(`${partition}/${one.offset}`));
      if (untold !== undefined)
        world.violate(
          "told",
          `the quarantine topic was never told of ${partition}/${untold.offset}, which is committed`,
        );
      for (let shard = 0; shard < config.kafka!.shards; shard++) {
        if (this.#candidates.has(`${partition}/${origin}/${start}/${shard}`)) continue;
        world.violate("told", `shard ${shard} was never told of ${partition} [${start}, ${end}), which is committed`);
      }
    }
  }

  /** Something happens to a topic that the product must get over. */
  disturb(random: SeededRandom, wild: boolean): void {
    const { world, log, config } = this.#place;
    const { broker } = log;
    const { candidates, thresholds, labels } = this.#topics;
    const shard = random.below(config.kafka!.shards);
    const garbage = { key: null, value: Buffer.from("garbage"), headers: {}, timestampMs: world.nowMs };
    switch (random.below(wild ? 8 : 6)) {
      case 0: {
        const { start, end } = broker.partition(candidates, shard);
        const before = start + random.below(end - start + 1);
        broker.truncate(candidates, shard, before);
        world.log(`retention removes candidates ${shard} before ${before}`);
        return;
      }
      case 1:
        broker.recreate(candidates);
        world.log("the candidates topic is made anew");
        return;
      case 2:
        broker.compact(thresholds);
        world.log("the thresholds topic is compacted");
        return;
      case 3:
        broker.append(candidates, shard, [garbage]);
        world.log(`garbage among the candidates of shard ${shard}`);
        return;
      case 4:
        broker.append(labels, 0, [garbage]);
        world.log("garbage among the labels");
        return;
      case 6:
      case 7:
        this.#losesNext.add(shard);
        world.log(`the next candidates of shard ${shard} will be lost`);
        return;
      default: {
        // A message that was lost, and one that comes once more, late
        const { records } = broker.partition(candidates, shard);
        const all = [...records.values()];
        if (all.length === 0) return;
        const lost = random.pick(all);
        const late = random.pick(all);
        records.delete(lost.offset);
        broker.append(candidates, shard, [late]);
        world.log(`candidates of shard ${shard}: ${lost.offset} is lost, ${late.offset} comes again`);
      }
    }
  }

  /** Versions that there are: every one must be told by publishers that begin now. */
  manifestsToTell(): string[] {
    return [...this.#place.store.objects.keys()].flatMap((key) => {
      const [, dataset, number] = /^versions\/([^/]+)\/(\d+)\/manifest\.json$/.exec(key) ?? [];
      return dataset === undefined ? [] : [`${dataset}/${Number(number)}`];
    });
  }

  /** Whether workers have taken in and made durable what they were told, labels are archived, and versions told of. */
  isSettled(manifests: readonly string[]): boolean {
    const { log, config } = this.#place;
    const { broker } = log;
    const { candidates, labels } = this.#topics;
    const group = groupName(config, "topk", TEACHER);
    const taken = broker
      .topic(candidates)
      .partitions.every(({ start, end }, shard) => end === start || broker.committed(candidates, group, shard) === end);
    const { end } = broker.partition(labels, 0);
    const said = end === 0 || broker.committed(labels, groupPrefix(config, "labels"), 0) === end;
    return taken && said && manifests.every((one) => this.#notices.has(one));
  }

  check(originals: ReadonlyMap<string, Uint8Array>): void {
    this.#checkThresholds(originals);
    this.#checkLabels();
  }

  /** Published thresholds are those of sorting everything below the frontier that they name. */
  #checkThresholds(originals: ReadonlyMap<string, Uint8Array>): void {
    const { world, config } = this.#place;
    const chains = readArchive(originals).filter(({ teacher }) => teacher === TEACHER);
    const every = Math.max(1, Math.ceil(this.#thresholds.length / MOST_THRESHOLDS));
    for (const told of this.#thresholds.filter((_, index) => index % every === 0)) {
      const dataset = config.datasets.find(({ name }) => name === told.dataset)!;
      if (told.parameters !== parametersDigest(dataset, TEACHER, config.stream, CARD)) continue;
      const span = paneSpan(dataset.window, told.paneMs === null ? 0 : paneOf(dataset.window, told.paneMs)!);
      const most = promisedRanks(dataset);
      const best = sortEverything(segmentsBelow(chains, told.at), dataset, span, most, CLASSES);
      // Of a pane that had left memory a worker knows what came late, and asks for more than it needs.
      const whole = dataset.window.kind === "global";
      for (const [at, key] of told.keys.entries()) {
        const rows = best[told.shard + at * told.shards]!;
        const least = rows.length < most ? Math.log(dataset.select.floor) : rows.at(-1)!.key;
        const count = told.counts[at]!;
        if (whole ? key === least && count === rows.length : key <= least && count <= rows.length) continue;
        world.violate(
          "thresholds",
          `${told.dataset} pane ${told.paneMs} class ${told.shard + at * told.shards} at ${JSON.stringify(told.at)}: ` +
            `${key} of ${count} images, expected ${least} of ${rows.length}`,
        );
        return;
      }
    }
  }

  /** What the labels topic says is archived, each once and in order, and what was answered is in it. */
  #checkLabels(): void {
    const { world, store, said } = this.#place;
    const segments = readLabels(store.objects).filter(({ partition }) => partition !== DIRECT_LABELS);
    const ends = segments.at(-1)?.end ?? 0;
    const expected = this.#labels.filter(({ offset }) => offset < ends).map(({ label }) => label);
    const found = segments.flatMap(({ labels }) => labels);
    if (canonicalJson(found) !== canonicalJson(expected)) {
      world.violate("labels", `the topic says ${JSON.stringify(expected)}, archived is ${JSON.stringify(found)}`);
    }
    if (segments.some(({ partition }) => partition !== topicLabels(0))) world.violate("labels", "of another partition");
    const texts = new Set(found.map((label) => canonicalJson(label)));
    for (const { start, labels } of said) {
      if (start !== null) continue;
      const lost = labels.find((label) => !texts.has(canonicalJson(label)));
      if (lost !== undefined) world.violate("labels", `${JSON.stringify(lost)} was answered and is not archived`);
    }
  }
}
