import { sha256Hex } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { decodeImageRecord, encodeImageRecord, type LogRecord } from "../../schemas/image-record.js";
import { TRACEPARENT } from "../../schemas/trace.js";

/** One image that a sender gives, inside the request or by where it lies. */
export interface SentImage {
  /** The sender's own name for this sending: the same again is a repeat. null: it has none */
  readonly key: string | null;
  readonly bytes: Uint8Array | null;
  readonly uri: string | null;
  /** ms since the epoch; null: the time at which it came */
  readonly eventTimeMs: number | null;
  readonly licence: string | null;
  readonly origin: string | null;
  readonly traceparent: string | null;
}

/** As it goes into the images topic. Throws E_RECORD_SCHEMA for what no scorer would take, E_IMAGE_EMPTY. */
export function recordOf(sent: SentImage, nowMs: number): LogRecord {
  const { key, bytes, uri, eventTimeMs, licence, origin, traceparent } = sent;
  const isEmpty = bytes === null || bytes.length === 0;
  if (isEmpty && uri === null)
    throw new SluiceError(
      "E_IMAGE_EMPTY",
      "Expected an image's bytes, or a sluice-uri that says where it lies, found neither.",
    );
  const image = { uri: uri ?? "", bytes: isEmpty ? null : bytes, licence, origin, retryOf: null };
  const { headers, ...record } = encodeImageRecord({ ...image, eventTimeMs: nowMs });
  // Without a uri the image's name is its place in the log, and its bytes are kept.
  const named = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "sluice-uri" || uri !== null));
  const all = {
    ...named,
    ...(eventTimeMs === null ? {} : { "sluice-event-time": String(eventTimeMs) }),
    ...(traceparent === null ? {} : { [TRACEPARENT]: traceparent }),
  };
  const made = { ...record, key: key === null ? null : Buffer.from(key), headers: all };
  decodeImageRecord({ ...made, offset: 0 }, { stream: "the request", partition: 0 });
  return made;
}

/** Tells one content from another under the same key, 16 bytes */
export function contentOf({ value, headers }: LogRecord): Uint8Array {
  return Buffer.from(sha256Hex(value ?? Buffer.from(headers["sluice-uri"] ?? "")), "hex").subarray(0, 16);
}
