import { inBatches } from "../../connectors/log/kafka/append.js";
import { partitionOfKey } from "../../connectors/log/kafka/partition.js";
import { Account } from "../../connectors/source/account.js";
import type { ErasedImages } from "../../operators/archive/erased-images.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import type { LogRecord } from "../../schemas/image-record.js";
import type { Observer } from "../../schemas/observed.js";
import type { PassedOverReason, SourceAccount } from "../../schemas/source-account.js";
import { contentOf, recordOf, type SentImage } from "./sent-image.js";
import { keyDigest, type SentPlace } from "./sent-keys.js";

/** A record on its way into a partition, with what its sender's key is remembered by. */
export interface KeyedRecord {
  readonly record: LogRecord;
  readonly key: Uint8Array | null;
  readonly content: Uint8Array;
}

/** Where images and the senders' keys are kept. */
export interface IntakeLog {
  /** What the senders' keys hold in: the stream, and the log that has it. A log that is made anew has another one. */
  readonly scope: string;
  readonly partitions: number;
  /**
   * Appends durably, all of them together, and remembers the keys with their places, in one or after it; returns the first offset. Throws E_LOG_RECREATED
   * where the log was made anew meanwhile; from then on `scope` and `partitions` are the new one's.
   */
  append(partition: number, records: readonly KeyedRecord[]): Promise<number>;
  /** null where nothing was sent under the key, or the log has no such place any more */
  sent(key: Uint8Array): SentPlace | null | Promise<SentPlace | null>;
}

export interface IntakeOptions {
  readonly log: IntakeLog;
  /** Records that are appended together have about so many bytes at most: one batch of the log */
  readonly maxBatchBytes: number;
  /** An image may have so many */
  readonly maxImageBytes: number;
  /** Whether a place that a sender names may be opened; where others look after that, every one is passed on */
  readonly mayRefer: (uri: string) => boolean;
  /** Knows which images were erased, where there is a store to ask */
  readonly erased: ErasedImages | null;
  readonly observer?: Observer | undefined;
  readonly onAppended: (records: number) => void;
  readonly nowMs: () => number;
}

/** What became of one image. */
export interface TakenImage extends Pick<SentPlace, "partition" | "offset"> {
  /** It was sent before, and not appended again */
  readonly known: boolean;
}

interface Place {
  readonly place: SentPlace;
  readonly isNew: boolean;
}

interface Waiting {
  readonly keyed: KeyedRecord;
  readonly done: (offset: number) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Takes images that senders give, into the log: durably before it says so. What comes while an append is under way is appended together with
 * the next. A sender that got no answer sends the same again: under its key it is known, and not appended twice.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #account = new Account();
  /** By partition, what waits for the append that is under way */
  readonly #waiting = new Map<number, Waiting[]>();
  readonly #appending = new Set<number>();
  /** By key, an image on its way: the same may be sent twice at once */
  readonly #underWay = new Map<string, Promise<Place>>();
  #turn = 0;
  #appended = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get appended(): number {
    return this.#appended;
  }

  get maxImageBytes(): number {
    return this.#options.maxImageBytes;
  }

  account(): SourceAccount {
    return this.#account.read();
  }

  /** What a sender gave that is no image */
  passOver(reason: PassedOverReason, name: string): void {
    this.#account.give();
    this.#account.passOver(reason, name);
  }

  /** Throws E_IMAGE_EMPTY, E_IMAGE_SIZE, E_IMAGE_ERASED, E_RECORD_SCHEMA, E_GATEWAY_KEY of the image; E_LOG_IO, retryable, where it may be in the log or not. */
  async take(image: SentImage): Promise<TakenImage> {
    const record = await this.#checked(image);
    const content = contentOf(record);
    const taken =
      image.key === null
        ? await this.#appendNew({ record, key: null, content })
        : await this.#takeKeyed(image.key, { record, key: keyDigest(this.#options.log.scope, image.key), content });
    this.#account.give();
    if (taken.known) this.#account.know();
    else this.#account.take();
    return taken;
  }

  async #checked(image: SentImage): Promise<LogRecord> {
    const { maxImageBytes, mayRefer, erased, nowMs } = this.#options;
    const { bytes, uri } = image;
    if (uri !== null && !mayRefer(uri)) throw otherPlace(uri);
    if (bytes !== null && bytes.length > maxImageBytes) throw tooLarge(bytes.length, maxImageBytes);
    const record = recordOf(image, nowMs());
    await erased?.look();
    if (bytes !== null && erased !== null && erased.size > 0 && erased.has(sha256Hex(bytes)))
      throw new SluiceError(
        "E_IMAGE_ERASED",
        "Expected an image that may be stored, found one that was erased with `sluice erase`.",
      );
    return record;
  }

  async #takeKeyed(name: string, keyed: KeyedRecord & { readonly key: Uint8Array }): Promise<TakenImage> {
    const id = Buffer.from(keyed.key).toString("hex");
    const underWay = this.#underWay.get(id);
    // The first that comes under a key notes it before anything is waited for.
    const placing = underWay ?? this.#place(keyed);
    if (underWay === undefined) this.#underWay.set(id, placing);
    try {
      const { place, isNew } = await placing;
      if (Buffer.compare(place.content, keyed.content) !== 0) throw otherImage(name, place);
      const { partition, offset } = place;
      return { partition, offset, known: !isNew || underWay !== undefined };
    } finally {
      if (underWay === undefined) this.#underWay.delete(id);
    }
  }

  async #place(keyed: KeyedRecord & { readonly key: Uint8Array }): Promise<Place> {
    const before = await this.#options.log.sent(keyed.key);
    if (before !== null) return { place: before, isNew: false };
    const { partition, offset } = await this.#appendNew(keyed);
    return { place: { partition, offset, content: keyed.content }, isNew: true };
  }

  async #appendNew(keyed: KeyedRecord): Promise<TakenImage> {
    const { partitions } = this.#options.log;
    // A key's own partition: should a repeat come through another gateway, one scorer meets both.
    const partition =
      keyed.record.key === null ? this.#turn++ % partitions : partitionOfKey(keyed.record.key, partitions);
    const offset = await new Promise<number>((done, failed) => {
      const waiting = this.#waiting.get(partition) ?? [];
      waiting.push({ keyed, done, failed });
      this.#waiting.set(partition, waiting);
      void this.#appendAll(partition);
    });
    return { partition, offset, known: false };
  }

  async #appendAll(partition: number): Promise<void> {
    if (this.#appending.has(partition)) return;
    this.#appending.add(partition);
    for (let waiting = this.#next(partition); waiting.length > 0; waiting = this.#next(partition))
      await this.#appendTogether(partition, waiting);
    this.#appending.delete(partition);
  }

  /** As many of those that wait as go into one batch. */
  #next(partition: number): Waiting[] {
    const waiting = this.#waiting.get(partition) ?? [];
    const [batch] = inBatches(
      waiting.map(({ keyed }) => keyed.record),
      this.#options.maxBatchBytes,
    );
    return waiting.splice(0, batch?.length ?? 0);
  }

  async #appendTogether(partition: number, waiting: readonly Waiting[]): Promise<void> {
    const { log, observer, onAppended } = this.#options;
    try {
      const first = await log.append(
        partition,
        waiting.map(({ keyed }) => keyed),
      );
      this.#appended += waiting.length;
      observer?.take({ event: "log.appended", records: waiting.length });
      onAppended(this.#appended);
      for (const [at, { done }] of waiting.entries()) done(first + at);
    } catch (error) {
      for (const { failed } of waiting) failed(error);
    }
  }
}

export function tooLarge(sizeBytes: number, maxImageBytes: number): SluiceError {
  return new SluiceError(
    "E_IMAGE_SIZE",
    `Expected an image of at most ${maxImageBytes} bytes, found ${sizeBytes}. Send where it lies instead (sluice-uri), or raise decode.maxBytes and, on Kafka, kafka.maxMessageBytes.`,
  );
}

function otherPlace(uri: string): SluiceError {
  return new SluiceError(
    "E_IMAGE_REFUSED",
    `Expected an image in a place that sources.allow names, found another one: ${uri.slice(0, 200)}. Send its bytes without sluice-uri, or add the place to sources.allow.`,
  );
}

function otherImage(key: string, { partition, offset }: SentPlace): SluiceError {
  return new SluiceError(
    "E_GATEWAY_KEY",
    `Expected under the key "${key.slice(0, 100)}" the image that was sent under it before (${partition}/${offset}), found another one. Give each image a key of its own.`,
  );
}
