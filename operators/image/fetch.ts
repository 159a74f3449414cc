import type { ImageOpener } from "../../connectors/source/source.js";
import { countText, counted } from "../../schemas/counted.js";
import { sha256 } from "../../schemas/canonical.js";
import { SluiceError, type ErrorCode } from "../../schemas/errors.js";
import { decodeImageRecord, isTimeMs, type ImageRecord, type StoredRecord } from "../../schemas/image-record.js";
import { ERASED_URI } from "../../schemas/erased.js";
import { hexDigest, type Fetched, type Refused } from "./image-in-flight.js";

export interface FetchOptions {
  readonly stream: string;
  readonly partition: number;
  readonly opener: ImageOpener;
  readonly maxBytes: number;
  readonly maxFutureSkewMs: number;
  readonly nowMs: () => number;
  /** Whether an image was erased, by its SHA-256 as 64 hexadecimal digits; by default none was */
  readonly isErased?: (sha256: string) => boolean;
}

const ERASED_REASON = "The image was erased (`sluice erase`): it is not stored again.";

/** Gets a record's bytes, from the record or from where it points, and digests them. Never throws for a bad record. */
export async function fetchImage(record: StoredRecord, options: FetchOptions): Promise<Fetched | Refused> {
  let image: ImageRecord | null = null;
  const refuse = (code: ErrorCode, reason: string): Refused => ({
    kind: "refused",
    sizeBytes: 0,
    rejected: {
      offset: record.offset,
      code,
      reason,
      sha256: null,
      uri: image?.uri ?? `log://${options.stream}/${options.partition}/${record.offset}`,
      eventTimeMs: image?.eventTimeMs ?? (isTimeMs(record.timestampMs) ? Math.trunc(record.timestampMs) : 0),
      retryOf: image?.retryOf ?? null,
    },
  });
  try {
    image = decodeImageRecord(record, options);
    const aheadMs = image.eventTimeMs - options.nowMs();
    if (aheadMs > options.maxFutureSkewMs) {
      return refuse(
        "E_RECORD_FUTURE",
        `Expected an event time at most ${options.maxFutureSkewMs} ms ahead of this machine's clock (maxFutureSkewMs), found ${Math.round(aheadMs)} ms ahead.`,
      );
    }
    if (image.uri === ERASED_URI) return refuse("E_IMAGE_ERASED", ERASED_REASON);
    const bytes = image.bytes ?? (await options.opener.open(image.uri, options.maxBytes));
    if (bytes.length > options.maxBytes) {
      return refuse(
        "E_IMAGE_SIZE",
        `Expected at most ${counted(options.maxBytes, "byte")} (decode.maxBytes), found ${countText(bytes.length)}.`,
      );
    }
    const digest = sha256(bytes);
    if (options.isErased?.(hexDigest(digest)) === true) {
      const refused = refuse("E_IMAGE_ERASED", ERASED_REASON);
      return { ...refused, rejected: { ...refused.rejected, sha256: hexDigest(digest), uri: ERASED_URI } };
    }
    const { uri, eventTimeMs, licence, origin, retryOf } = image;
    return {
      kind: "fetched",
      bytes,
      origin: {
        offset: record.offset,
        eventTimeMs,
        digest,
        uri,
        sizeBytes: bytes.length,
        licence,
        origin,
        retryOf,
      },
    };
  } catch (error) {
    if (error instanceof SluiceError && isBadImage(error.code)) return refuse(error.code, error.message);
    throw error;
  }
}

/** Whether an error is the image's own fault: then it costs that image, not the run. */
export function isBadImage(code: ErrorCode): boolean {
  return code.startsWith("E_IMAGE_") || code.startsWith("E_RECORD_");
}
