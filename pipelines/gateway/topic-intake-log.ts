import type { EmbeddedTable } from "../../connectors/log/embedded/embedded-table.js";
import type { Log } from "../../connectors/log/log.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { IntakeLog, KeyedRecord } from "./intake.js";
import { encodeSentPlace, keyDigest, sentUnder, type SentPlace } from "./sent-keys.js";

export interface TopicIntakeOptions {
  readonly log: Pick<Log, "identity" | "ends" | "append">;
  readonly stream: string;
  /** The senders' keys, and which topic this gateway put images into last */
  readonly keys: Pick<EmbeddedTable, "get" | "putMany">;
  readonly onWarning: (message: string, code?: string) => void;
  readonly nowMs: () => number;
}

/** A log as it stands. */
export interface StandingLog {
  /** Which of the keys are of this log: one that was made anew knows nothing of what was sent into the old one. */
  readonly scope: string;
  readonly partitions: number;
}

export async function standingLog(log: Pick<Log, "identity" | "ends">, stream: string): Promise<StandingLog> {
  return { scope: await scopeOf(log, stream), partitions: (await log.ends(stream)).length };
}

async function scopeOf(log: Pick<Log, "identity">, stream: string): Promise<string> {
  return `${stream}\0${(await log.identity(stream)).id ?? ""}`;
}

/** Where partitions end is asked again after so long, ms */
const ENDS_MS = 1000;
const LAST_SCOPE = "which topic images were put into last";

/**
 * The images topic of a cluster, where somebody may delete it and make it anew at any time. Keys are remembered after the append: a gateway that is
 * killed between the two appends a repeat once more, and the scorers know it by its digest.
 */
export class TopicIntakeLog implements IntakeLog {
  readonly #options: TopicIntakeOptions;
  #standing: StandingLog;
  #ends: Promise<readonly number[]> | null = null;
  #endsMs = Number.NEGATIVE_INFINITY;

  private constructor(options: TopicIntakeOptions, standing: StandingLog) {
    this.#options = options;
    this.#standing = standing;
  }

  static async open(options: TopicIntakeOptions): Promise<TopicIntakeLog> {
    const { log, stream, keys, onWarning } = options;
    const standing = await standingLog(log, stream);
    const before = keys.get(keyDigest(stream, LAST_SCOPE));
    if (before !== undefined && Buffer.from(before).toString() !== standing.scope)
      onWarning(`${madeAnew(stream)} ${WHAT_NOW}`, "E_LOG_RECREATED");
    const opened = new TopicIntakeLog(options, standing);
    await opened.#note();
    return opened;
  }

  get scope(): string {
    return this.#standing.scope;
  }

  get partitions(): number {
    return this.#standing.partitions;
  }

  async append(partition: number, records: readonly KeyedRecord[]): Promise<number> {
    const { log, stream, keys } = this.#options;
    const { scope } = this.#standing;
    const appended = records.map(({ record }) => record);
    try {
      const first = await log.append(stream, partition, appended);
      // Asked afterwards: a topic's id never comes back, so that this is the one which the records went into.
      await this.#assertSame(scope);
      const keyed = records.flatMap(({ key, content }, at): [Uint8Array, Uint8Array][] =>
        key === null ? [] : [[key, encodeSentPlace({ partition, offset: first + at, content })]],
      );
      if (keyed.length > 0) await keys.putMany(keyed);
      return first;
    } catch (error) {
      // One that was made anew may refuse the append itself, for want of the partition or of the producer's numbers.
      if (isSluiceError(error, "E_LOG_IO") && !error.retryable) await this.#assertSame(scope);
      throw error;
    }
  }

  async sent(key: Uint8Array): Promise<SentPlace | null> {
    const place = sentUnder(this.#options.keys, key);
    if (place === null) return null;
    const isThere = (ends: readonly number[]): boolean => place.offset < (ends[place.partition] ?? 0);
    if (isThere(await this.#endsWithin(ENDS_MS))) return place;
    // Unless it came since, brokers have lost the topic's end: what was sent is not there any more.
    return isThere(await this.#endsWithin(0)) ? place : null;
  }

  async #assertSame(scope: string): Promise<void> {
    const { log, stream, onWarning } = this.#options;
    const now = await scopeOf(log, stream);
    if (now === scope) return;
    if (this.#standing.scope !== now) {
      this.#standing = await standingLog(log, stream);
      this.#ends = null;
      await this.#note();
      onWarning(`${madeAnew(stream)} ${WHAT_NOW}`, "E_LOG_RECREATED");
    }
    throw new SluiceError("E_LOG_RECREATED", `${madeAnew(stream)} Send it again: it goes into the new one.`, {
      stream,
      retryable: true,
    });
  }

  #endsWithin(ageMs: number): Promise<readonly number[]> {
    const { log, stream, nowMs } = this.#options;
    if (this.#ends === null || nowMs() - this.#endsMs >= ageMs) {
      this.#endsMs = nowMs();
      this.#ends = log.ends(stream).then((ends) => ends.map(({ end }) => end));
    }
    return this.#ends;
  }

  async #note(): Promise<void> {
    const { keys, stream } = this.#options;
    await keys.putMany([[keyDigest(stream, LAST_SCOPE), Buffer.from(this.#standing.scope)]]);
  }
}

function madeAnew(stream: string): string {
  return `Expected topic "${stream}" to be the one that this gateway put images into, found that it was deleted and made anew.`;
}

const WHAT_NOW =
  "Of the old one's images those are lost that were not scored. What is sent from now on goes into the new one, and is scored once `sluice topics adopt` has said so.";
