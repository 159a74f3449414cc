import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import { inBatches, type KafkaAppender } from "./append.js";
import type { KafkaClient } from "./client.js";
import {
  CursorScan,
  markBatches,
  matchOrphans,
  placeName,
  type CursorNote,
  type CursorPlace,
  type CursorState,
} from "./cursor-records.js";
import { isUnknownTopic } from "./errors.js";
import { isOutOfRange, type Fetched, type KafkaFetcher } from "./fetch.js";
import { committedRecords, endOf, sizeOf } from "./records.js";
import { ensureTopic, topicEnds } from "./topics.js";
import type { Cursor } from "../log.js";
import { InTurn } from "../../in-turn.js";

export interface CursorSettings {
  /** A compacted topic of one partition; made where it is absent */
  readonly topic: string;
  readonly replicationFactor: number;
  readonly maxBatchBytes: number;
}

/** How soon one producer hears that another has taken its cursor. */
const LOOK_EVERY_MS = 250;
/** A new note is written after so much was appended: a producer that resumes reads about that much at most. */
const NOTE_EVERY_APPENDS = 64;
const NOTE_EVERY_BYTES = 16 * 1024 * 1024;
/** Compacted soon, in small segments: a producer that looks for its cursor reads the topic. */
export const CURSOR_TOPIC_SETTINGS = {
  "cleanup.policy": "compact",
  "segment.bytes": "16777216",
  "segment.ms": "600000",
  "min.cleanable.dirty.ratio": "0.1",
};

/** A cursor that this process appends under */
interface Owned {
  state: CursorState;
  /** Where batches can be that the latest note does not know of; those in `noted` are in it, maybe with an earlier `from`. */
  places: readonly CursorPlace[];
  noted: ReadonlySet<string>;
  /** Offset in the cursor topic after the latest note that this process knows of */
  seen: number;
  lookedMs: number;
  appends: number;
  bytes: number;
}

/**
 * Appends that store a cursor with their records, without Kafka's transactions: kafka-cursor-records.ts says how, and
 * docs/decisions/008-kafka-log.md why. One process at a time may append under a name; of two the older is
 * told, after at most `LOOK_EVERY_MS`.
 */
export class KafkaCursors {
  readonly #client: KafkaClient;
  readonly #fetcher: KafkaFetcher;
  readonly #appender: KafkaAppender;
  readonly #settings: CursorSettings;
  readonly #self = randomUUID();
  readonly #turns = new InTurn();
  readonly #owned = new Map<string, Owned>();
  /** The count of the last append under a name that this process's caller knows of */
  readonly #known = new Map<string, number>();
  #topicMade: Promise<void> | null = null;

  constructor(client: KafkaClient, fetcher: KafkaFetcher, appender: KafkaAppender, settings: CursorSettings) {
    this.#client = client;
    this.#fetcher = fetcher;
    this.#appender = appender;
    this.#settings = settings;
  }

  /** Does not disturb a producer that is at work under this cursor. */
  async read(name: string): Promise<string | null> {
    return this.#turns.run(async () => {
      const state = this.#owned.get(name)?.state ?? (await this.#find(name, await this.#latestNote(name)));
      this.#known.set(name, state.append);
      return state.value;
    }, name);
  }

  /**
   * Returns the first record's offset. Throws E_LOG_IO where more has been appended under the cursor than this process's
   * caller knows of. After a retryable error the same append may be repeated: it is not doubled.
   */
  async append(topic: string, partition: number, records: readonly LogRecord[], cursor: Cursor): Promise<number> {
    return this.#turns.run(async () => {
      try {
        return await this.#append({ topic, partition }, records, cursor);
      } catch (error) {
        // What has come about is found out when it matters.
        this.#owned.delete(cursor.name);
        throw error;
      }
    }, cursor.name);
  }

  async #append(
    at: { topic: string; partition: number },
    records: readonly LogRecord[],
    { name, value }: Cursor,
  ): Promise<number> {
    const owned = this.#owned.get(name) ?? (await this.#take(name));
    const known = this.#known.get(name);
    if (known !== undefined && known !== owned.state.append) {
      // Maybe by this very append, whose answer was lost.
      const own = owned.state.owner === this.#self && owned.state.append === known + 1 && owned.state.value === value;
      if (!own) throw this.#overtaken(name);
      this.#known.set(name, owned.state.append);
      return owned.state.first ?? 0;
    }
    if (performance.now() - owned.lookedMs > LOOK_EVERY_MS) await this.#lookForOthers(name, owned);

    const place = placeName(at);
    const elsewhere = owned.state.orphans.filter((orphan) => orphan.place !== place);
    const here = owned.state.orphans.filter((orphan) => orphan.place === place);
    const { matched, left } = matchOrphans(here, records);
    const rest = records.slice(matched.length);
    const append = owned.state.append + 1;
    if (!owned.noted.has(place)) {
      owned.places = [...owned.places, { ...at, from: (await this.#ends(at)).end }];
      await this.#note(name, owned);
    }
    let first = matched[0]?.offset ?? null;
    if (rest.length > 0) {
      const batches = inBatches(rest, this.#settings.maxBatchBytes);
      const marked = markBatches(batches, { name, owner: this.#self, append, value });
      const firsts = await this.#appender.append(at.topic, at.partition, marked);
      first ??= firsts[0]!;
      owned.places = moved(owned.places, place, firsts.at(-1)! + batches.at(-1)!.length);
      owned.state = { append, value, owner: this.#self, first, orphans: elsewhere };
    } else {
      // Nothing to send: the note stores the cursor.
      first ??= (await this.#ends(at)).end;
      const from = left[0]?.offset ?? (matched.length === 0 ? null : matched.at(-1)!.offset + 1);
      if (from !== null) owned.places = moved(owned.places, place, from);
      owned.state = { append, value, owner: this.#self, first, orphans: [...elsewhere, ...left] };
      await this.#note(name, owned);
    }
    this.#known.set(name, append);
    owned.appends++;
    for (const record of rest) owned.bytes += sizeOf(record);
    if (owned.appends >= NOTE_EVERY_APPENDS || owned.bytes >= NOTE_EVERY_BYTES) await this.#note(name, owned);
    return first;
  }

  /** Makes this process the one that appends under a name. */
  async #take(name: string): Promise<Owned> {
    await this.#makeTopic();
    const earlier = await this.#latestNote(name);
    const note = earlier ?? { owner: this.#self, append: 0, value: null, places: [] };
    const seen = (await this.#write(name, { ...note, owner: this.#self })) + 1;
    // The owner until now, should it live, sees this before its next append; what it has under way arrives.
    if (earlier !== null && earlier.owner !== this.#self) await sleep(LOOK_EVERY_MS + 50);
    const owned: Owned = {
      state: await this.#find(name, note),
      places: note.places,
      noted: new Set(note.places.map(placeName)),
      seen,
      lookedMs: 0,
      appends: 0,
      bytes: 0,
    };
    this.#owned.set(name, owned);
    return owned;
  }

  /** Throws where another process has taken the cursor. */
  async #lookForOthers(name: string, owned: Owned): Promise<void> {
    const end = (await topicEnds(this.#client, this.#settings.topic))[0]?.end ?? 0;
    if (end > owned.seen) {
      await this.#readRaw({ topic: this.#settings.topic, partition: 0, from: owned.seen }, (records) => {
        for (const { key, value } of records) {
          if (textOf(key) !== name || value === null) continue;
          if ((JSON.parse(textOf(value)) as CursorNote).owner !== this.#self) throw this.#overtaken(name);
        }
      });
      owned.seen = end;
    }
    owned.lookedMs = performance.now();
  }

  async #latestNote(name: string): Promise<CursorNote | null> {
    const found: { note: CursorNote | null } = { note: null };
    await this.#readRaw({ topic: this.#settings.topic, partition: 0, from: 0 }, (records) => {
      for (const { key, value } of records) {
        if (textOf(key) === name && value !== null) found.note = JSON.parse(textOf(value)) as CursorNote;
      }
    });
    return found.note;
  }

  /** What has been appended under a cursor: what its note says, and what its places hold beyond that. */
  async #find(name: string, note: CursorNote | null): Promise<CursorState> {
    const scan = new CursorScan(name, note);
    for (const place of note?.places ?? []) {
      await this.#readRaw(place, (records) => {
        scan.add(placeName(place), records);
      });
    }
    return scan.state;
  }

  /**
   * Gives everything in a partition from an offset to its present end, with records of open transactions (others' may stay
   * open for long); nothing where there is no such topic.
   */
  async #readRaw({ topic, partition, from }: CursorPlace, take: (records: StoredRecord[]) => void): Promise<void> {
    const { start } = await this.#ends({ topic, partition }).catch((error: unknown) => {
      if (isSluiceError(error) && isUnknownTopic(error)) return { start: null };
      throw error;
    });
    if (start === null) return;
    let end: number | null = null;
    for (let offset = Math.max(start, from); end === null || offset < end;) {
      const place = { topic, partition, offset, maxBytes: 2 * 1024 * 1024, uncommitted: true };
      const attempt = (): Promise<Fetched | null> =>
        this.#fetcher.fetch(place).catch((error: unknown) => {
          // The topic was made anew since the place was noted.
          if (isOutOfRange(error)) return null;
          throw error;
        });
      const fetched = await this.#client.retrying(`read ${topic}/${partition}`, attempt, { topic });
      if (fetched === null) return;
      end ??= fetched.logEnd;
      take(committedRecords(fetched.raw, [], offset));
      // Compaction may have left nothing of what comes last.
      offset = endOf(fetched.raw) ?? end;
    }
  }

  async #ends({ topic, partition }: { topic: string; partition: number }): Promise<{ start: number; end: number }> {
    const ends = (await topicEnds(this.#client, topic))[partition];
    if (ends !== undefined) return ends;
    throw new SluiceError(
      "E_LOG_IO",
      `Expected a partition ${partition} of topic "${topic}" in ${this.#client.place}, found none.`,
    );
  }

  /** Stores what this process knows of its cursor. */
  async #note(name: string, owned: Owned): Promise<void> {
    const { append, value } = owned.state;
    await this.#lookForOthers(name, owned);
    owned.seen = (await this.#write(name, { owner: this.#self, append, value, places: owned.places })) + 1;
    owned.noted = new Set(owned.places.map(placeName));
    owned.appends = 0;
    owned.bytes = 0;
  }

  /** Returns the note's offset. */
  async #write(name: string, note: CursorNote): Promise<number> {
    const record = {
      key: Buffer.from(name),
      value: Buffer.from(JSON.stringify(note)),
      headers: {},
      timestampMs: Date.now(),
    };
    const [offset] = await this.#appender.append(this.#settings.topic, 0, [[record]]);
    return offset!;
  }

  #makeTopic(): Promise<void> {
    const { topic, replicationFactor } = this.#settings;
    const settings = { replicationFactor, settings: CURSOR_TOPIC_SETTINGS };
    this.#topicMade ??= ensureTopic(this.#client, topic, 1, settings).catch((error: unknown) => {
      this.#topicMade = null;
      throw error;
    });
    return this.#topicMade;
  }

  #overtaken(name: string): SluiceError {
    return new SluiceError(
      "E_LOG_IO",
      `Expected to be the only producer with cursor "${name}" in ${this.#client.place}, found that another has taken it. Stop one of them; what goes on has to look at the cursor again.`,
      { cursor: name },
    );
  }

  async close(): Promise<void> {
    await this.#turns.idle();
  }
}

function moved(places: readonly CursorPlace[], name: string, from: number): CursorPlace[] {
  return places.map((place) => (placeName(place) === name ? { ...place, from } : place));
}

function textOf(bytes: Uint8Array | null): string {
  return bytes === null ? "" : Buffer.from(bytes).toString();
}
