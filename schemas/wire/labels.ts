import { canonicalJson } from "../canonical.js";
import { opinionSchema, type ImageLabel } from "../image-label.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { jsonOf, readVersioned, VERSION_HEADER, type RecordPlace } from "./format-version.js";

export const LABELS_VERSION = "1";

/** With the value `1`: the label may name a class that no teacher has. */
export const ANY_CLASS_HEADER = "sluice-any-class";

/** What one person says of one image. Keyed by the image, so that what is said of it stays in order. */
export function encodeLabel(label: ImageLabel, anyClass = false): LogRecord {
  return {
    key: Buffer.from(label.sha256),
    value: Buffer.from(canonicalJson(label)),
    headers: { [VERSION_HEADER]: LABELS_VERSION, ...(anyClass ? { [ANY_CLASS_HEADER]: "1" } : {}) },
    timestampMs: label.timeMs,
  };
}

/** Throws E_RECORD_SCHEMA. */
export function decodeLabel(record: StoredRecord, place: RecordPlace): ImageLabel {
  return readVersioned(record, place, "labels", { "1": (one) => opinionSchema.parse(inSmallLetters(jsonOf(one))) });
}

/** Digests in capitals do no harm, as in a file of `sluice label`. */
function inSmallLetters(label: unknown): unknown {
  if (typeof label !== "object" || label === null || !("sha256" in label)) return label;
  const { sha256 } = label;
  return typeof sha256 === "string" ? { ...label, sha256: sha256.toLowerCase() } : label;
}
