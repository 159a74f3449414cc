import { getIfThere, type Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import {
  decodeStreamLog,
  encodeStreamLog,
  hasSameBases,
  isSameLog,
  type LogIdentity,
} from "../../schemas/stream-log.js";

/** What the offsets of a stream's archive are counted of: its images, or the labels that a topic says of them. */
export type CountedLog = "images" | "labels";

/** Whether a log has at archived offsets what was archived of them. `none`: it has nothing of it any more, or nothing is archived. */
export interface HeldContent {
  readonly what: "same" | "none" | "other";
  /** Where the last archived record is that was compared, for people; null: none was */
  readonly place: string | null;
}

/** Reads `HeldContent`: asked only where it matters. */
export type CompareContent = () => Promise<HeldContent>;

interface StandingLog {
  readonly number: number;
  readonly log: LogIdentity;
}

/** The log whose offsets the chains of a stream count, and its number; the highest stands. null: nothing was ever archived. */
export async function streamLog(store: Store, stream: string, of: CountedLog = "images"): Promise<StandingLog | null> {
  let found: StandingLog | null = null;
  for (let number = 0; ; number++) {
    const key = keyOf(stream, of, number);
    const bytes = await getIfThere(store, key);
    if (bytes === null) return found;
    found = { number, log: decodeStreamLog(bytes, key) };
  }
}

/** From now on the stream goes on in `log`, which begins where its chains end. */
export async function succeedStreamLog(
  store: Store,
  stream: string,
  log: LogIdentity,
  of: CountedLog = "images",
): Promise<void> {
  for (;;) {
    const before = await streamLog(store, stream, of);
    if (before !== null && isSameLog(before.log, log)) return;
    await store.putIfAbsent(keyOf(stream, of, (before?.number ?? -1) + 1), encodeStreamLog(log));
  }
}

export interface StreamLogQuestion {
  readonly store: Store;
  readonly stream: string;
  /** As the log tells it now */
  readonly log: LogIdentity;
  readonly of?: CountedLog;
  readonly compare: CompareContent;
  /** Compare also where the ids are the same: brokers may have lost a topic's end, and filled it with other records */
  readonly always?: boolean;
  /** Is told that nobody can tell: the log has nothing any more of what was archived */
  readonly onUntold?: ((message: string) => void) | undefined;
}

/**
 * The first log that a stream is archived from is its own for ever: offsets of another one would pass for archived, and its
 * records would never be. It is known by its id, or where that is not told (brokers before 2.8) by what it has at archived offsets.
 * Throws E_LOG_RECREATED.
 */
export async function assertStreamLog(question: StreamLogQuestion): Promise<void> {
  const { store, stream, log, of = "images", compare, always = false, onUntold } = question;
  for (;;) {
    const standing = await streamLog(store, stream, of);
    const isTold = standing !== null && standing.log.id !== null && log.id !== null;
    const isKnown = standing !== null && (isTold ? isSameLog(standing.log, log) : hasSameBases(standing.log, log));
    const isOther = standing !== null && !isKnown;
    // An embedded log tells its id always.
    const held = log.kind === "kafka" && (isOther || always || !isTold) ? await compare() : null;
    if (isOther || held?.what === "other") throw recreated(question, standing?.log ?? null, held);
    if (standing !== null && isTold) return;
    if (held?.what === "none" && held.place !== null)
      onUntold?.(
        `Expected ${held.place}, the last record that is archived of it, to be there still, found it removed, and brokers (before 2.8) that tell no topic's id: ` +
          "whether the topic was made anew cannot be seen.",
      );
    if (standing !== null && (log.id === null || standing.log.id !== null)) return;
    const next = (standing?.number ?? -1) + 1;
    if ((await store.putIfAbsent(keyOf(stream, of, next), encodeStreamLog(log))) === "created") return;
  }
}

function recreated(
  { stream, log, of = "images" }: StreamLogQuestion,
  standing: LogIdentity | null,
  held: HeldContent | null,
): SluiceError {
  const what = of === "images" ? `stream "${stream}" was` : `labels of stream "${stream}" were`;
  const place = held?.place ?? null;
  const seen =
    held?.what === "same" && place !== null
      ? ` At ${place} it has what was archived of it, so that it was moved rather than made anew.`
      : held?.what === "other" && place !== null
        ? ` At ${place} it has another record than was archived.`
        : "";
  const advice =
    log.kind === "kafka"
      ? "The topic was deleted and made anew, was moved, or these are other brokers. `sluice topics adopt` goes on with it where the archive ends; or give it another stream name."
      : "Name another stream (`--set stream=NAME`), or let `sluice log rebuild` begin a log here where the archive ends.";
  return new SluiceError(
    "E_LOG_RECREATED",
    `Expected the log that ${what} archived from${standing === null ? "" : ` (${nameOf(standing)})`}, found another one (${nameOf(log)}): ` +
      `what lies in it below the archive's end would pass for archived, and never be. Nothing of it was taken.${seen} ${advice}`,
    { stream, expected: standing, found: log },
  );
}

function keyOf(stream: string, of: CountedLog, number: number): string {
  return of === "images" ? keys.streamLog(stream, number) : keys.labelsLog(stream, number);
}

function nameOf({ kind, id }: LogIdentity): string {
  if (kind === "embedded") return `embedded log ${(id ?? "").slice(0, 8)}`;
  return id === null ? "Kafka topic without an id" : `Kafka topic ${id}`;
}
