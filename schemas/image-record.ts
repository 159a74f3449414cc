import { SluiceError } from "./errors.js";

/** A record of any log: what Kafka carries, and the embedded log with it. */
export interface LogRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
  /** ms since the epoch, UTC */
  readonly timestampMs: number;
}

/** A record at its place. Offsets ascend within a partition and may have holes. */
export interface StoredRecord extends LogRecord {
  readonly offset: number;
}

/** An image as it enters: its bytes inline, or only where they lie (`bytes` null). */
export interface ImageRecord {
  readonly uri: string;
  readonly bytes: Uint8Array | null;
  /** ms since the epoch, UTC: when the image came to be, as its producer says */
  readonly eventTimeMs: number;
  readonly licence: string | null;
  readonly origin: string | null;
  /** Offset (same partition) of the quarantined record that this one takes up again. */
  readonly retryOf: number | null;
}

/** The version of this wire format. A reader refuses what it does not know. */
export const IMAGE_RECORD_VERSION = "1";

const HEADER = {
  version: "sluice-schema",
  uri: "sluice-uri",
  eventTime: "sluice-event-time",
  licence: "sluice-licence",
  origin: "sluice-origin",
  retryOf: "sluice-retry-of",
} as const;

/** The wire form: image bytes (or nothing, by reference) as the value, all else in headers that any producer can write. */
export function encodeImageRecord(image: ImageRecord): LogRecord {
  const headers: Record<string, string> = { [HEADER.version]: IMAGE_RECORD_VERSION, [HEADER.uri]: image.uri };
  if (image.licence !== null) headers[HEADER.licence] = image.licence;
  if (image.origin !== null) headers[HEADER.origin] = image.origin;
  if (image.retryOf !== null) headers[HEADER.retryOf] = String(image.retryOf);
  return { key: null, value: image.bytes, headers, timestampMs: image.eventTimeMs };
}

/**
 * Reads a record of the images topic. Only the value is required of a producer: without headers the uri is the place
 * in the log and the event time the record's timestamp.
 * Throws E_RECORD_SCHEMA for an unknown version, a header that does not parse, or neither bytes nor a uri.
 */
export function decodeImageRecord(record: StoredRecord, place: { stream: string; partition: number }): ImageRecord {
  const where = `${place.stream}/${place.partition}/${record.offset}`;
  const { headers } = record;
  const version = headers[HEADER.version] ?? IMAGE_RECORD_VERSION;
  if (version !== IMAGE_RECORD_VERSION) {
    throw new SluiceError(
      "E_RECORD_SCHEMA",
      `Expected ${HEADER.version} ${IMAGE_RECORD_VERSION}, found "${version}" at ${where}. Upgrade Sluice, or write version ${IMAGE_RECORD_VERSION}.`,
    );
  }
  const integer = (name: string): number | null => {
    const text = headers[name];
    if (text === undefined) return null;
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
      throw new SluiceError(
        "E_RECORD_SCHEMA",
        `Expected a whole number in header ${name}, found "${text}" at ${where}.`,
      );
    }
    return value;
  };
  const eventTime = (): number => {
    const text = headers[HEADER.eventTime];
    if (text === undefined) return timestampInMs(record.timestampMs, where);
    // Nanoseconds are more than a number holds exactly; that they are so is seen all the same.
    if (/^\d+$/.test(text)) inMs(Number(text), where, `in header ${HEADER.eventTime}`);
    return integer(HEADER.eventTime) ?? record.timestampMs;
  };
  const uri = headers[HEADER.uri];
  const bytes = record.value !== null && record.value.length > 0 ? record.value : null;
  if (uri === undefined && record.value === null) {
    throw new SluiceError(
      "E_RECORD_SCHEMA",
      `Expected image bytes or a header ${HEADER.uri}, found neither at ${where}.`,
    );
  }
  return {
    uri: uri ?? `log://${where}`,
    // A producer's empty value without a uri is an empty image, which decoding refuses by its own code.
    bytes: uri === undefined ? (record.value ?? new Uint8Array(0)) : bytes,
    eventTimeMs: wholeMs(eventTime(), where),
    licence: headers[HEADER.licence] ?? null,
    origin: headers[HEADER.origin] ?? null,
    retryOf: integer(HEADER.retryOf),
  };
}

/** The furthest from 1970 that a date can be, ms. Source: ECMA-262, 21.4.1.1 */
const FURTHEST_MS = 8.64e15;

/** Whether a number is a time at all: other ones fit into no archive. */
export function isTimeMs(timeMs: number): boolean {
  return Math.abs(timeMs) <= FURTHEST_MS;
}

/** Without what some clocks give below a millisecond. Throws E_RECORD_SCHEMA for what is no time. */
function wholeMs(timeMs: number, where: string): number {
  if (isTimeMs(timeMs)) return Math.trunc(timeMs);
  throw new SluiceError(
    "E_RECORD_SCHEMA",
    `Expected a time in ms since 1970, at most ${FURTHEST_MS} from it, found ${timeMs} at ${where}. Give the image its time, and produce it again.`,
  );
}

/**
 * Units that clocks give in place of ms, with what one ms has of them and their numbers of our days. Read as ms, seconds of 1973 to 5138 lie between January 1970
 * and March 1973, when nobody took images for this; microseconds of 1973 on and nanoseconds lie thousands of years ahead.
 */
const UNITS = [
  { name: "seconds", perMs: 1e-3, from: 1e8, below: 1e11 },
  { name: "microseconds", perMs: 1e3, from: 1e14, below: 1e17 },
  { name: "nanoseconds", perMs: 1e6, from: 1e17, below: 1e20 },
] as const;

/** What a time that looks like another unit than ms would be, and what to write; null of one that does not. */
export function unitFault(time: number): string | null {
  const unit = UNITS.find(({ from, below }) => time >= from && time < below);
  if (unit === undefined) return null;
  const meantMs = Math.trunc(time / unit.perMs);
  const read = isTimeMs(time) ? `, which is ${new Date(time).toISOString()}` : "";
  return `${read}. It looks like ${unit.name} (${new Date(meantMs).toISOString()}): write ${meantMs}`;
}

/** Throws E_RECORD_SCHEMA for what a producer gave in another unit: the image would belong to a window of 1970, or of the far future. */
function inMs(time: number, where: string, what: string): number {
  const fault = unitFault(time);
  if (fault === null) return time;
  throw new SluiceError(
    "E_RECORD_SCHEMA",
    `Expected ms since 1970 ${what}, found ${time} at ${where}${fault}, and produce the image again.`,
  );
}

/** A timestamp of the first days of 1970 may be one that nobody gave. */
const LEAST_SECONDS = 1e9;

function timestampInMs(time: number, where: string): number {
  return time < LEAST_SECONDS ? time : inMs(time, where, "as the record's timestamp");
}
