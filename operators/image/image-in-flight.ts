import type { Pdq } from "./pdq.js";
import type { RowOrigin, RowScores } from "../archive/segment-builder.js";
import type { ErrorCode } from "../../schemas/errors.js";
import type { Rejected } from "../../schemas/segment.js";

/** What waits to be scored; each step passes on what it need not touch. */
export type Scorable = Refused | Copied | Decoded;

/** To be quarantined: costs one record, never its neighbours. */
export interface Refused {
  readonly kind: "refused";
  readonly rejected: Rejected;
  /** Length of the bytes, 0 where they could not be read */
  readonly sizeBytes: number;
}

/** The bytes are here and digested. */
export interface Fetched {
  readonly kind: "fetched";
  readonly origin: RowOrigin;
  readonly bytes: Uint8Array;
}

/** An image whose digest came before: its scores are those of the first row. */
export interface Copied {
  readonly kind: "copied";
  readonly origin: RowOrigin;
  readonly bytes: Uint8Array;
  readonly scores: Promise<Scored>;
}

/** Ready for the engine. `settle` tells those who wait for the same digest. */
export interface Decoded {
  readonly kind: "decoded";
  readonly origin: RowOrigin;
  readonly bytes: Uint8Array;
  /** u8, [height x width x channels] of the teacher's input */
  readonly pixels: Uint8Array;
  readonly pdq: Pdq;
  /** Codes of IMAGE_NOTES, joined by commas; null for none */
  readonly notes: string | null;
  readonly width: number;
  readonly height: number;
}

/** What became of a digest: scores, or why it has none. */
export type Scored = { readonly scores: RowScores } | { readonly code: ErrorCode; readonly reason: string };

/** What the archive stage takes: a row, or a refusal. */
export type Outcome =
  | Refused
  | {
      readonly kind: "row";
      readonly origin: RowOrigin;
      /** null where they are not to be stored */
      readonly bytes: Uint8Array | null;
      readonly scores: RowScores;
      readonly copied: boolean;
    };

/** 64 hexadecimal digits */
export function hexDigest(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString("hex");
}

export function refusal(origin: RowOrigin, code: ErrorCode, reason: string): Refused {
  return {
    kind: "refused",
    sizeBytes: origin.sizeBytes,
    rejected: {
      offset: origin.offset,
      code,
      reason,
      sha256: hexDigest(origin.digest),
      uri: origin.uri,
      eventTimeMs: Math.trunc(origin.eventTimeMs),
      retryOf: origin.retryOf,
    },
  };
}
