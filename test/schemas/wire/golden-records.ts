import type { ImageLabel } from "../../../schemas/image-label.js";
import { encodeImageRecord, type LogRecord } from "../../../schemas/image-record.js";
import { encodeCandidates, type CandidatesMessage } from "../../../schemas/wire/candidates.js";
import { encodeLabel } from "../../../schemas/wire/labels.js";
import { encodePublished, type Published } from "../../../schemas/wire/published.js";
import { encodeQuarantined, type Quarantined } from "../../../schemas/wire/quarantined.js";
import { encodeThresholds, type Thresholds } from "../../../schemas/wire/thresholds.js";

const TEACHER = "ab".repeat(32);
const NOW_MS = 1_793_000_000_000;

const rows = {
  count: 3,
  classes: Int32Array.of(1, 3, 4_095),
  keys: Float64Array.of(-0.1, -1e-300, -745.1332191019412),
  identity: Uint32Array.of(0xffffffff, 0, 1, 0x80000000, 1, 2, 3, 4, 5, 6, 7, 8),
  partition: Uint16Array.of(7, 7, 7),
  offset: Float64Array.of(1_000, 1_001, 2 ** 47 + 1),
};

const none = {
  count: 0,
  classes: new Int32Array(0),
  keys: new Float64Array(0),
  identity: new Uint32Array(0),
  partition: new Uint16Array(0),
  offset: new Float64Array(0),
};

const chain = { teacher: TEACHER, stream: "images", partition: 7, origin: 0, start: 1_000, end: 2 ** 47 + 2 };

export const CANDIDATES: CandidatesMessage = {
  ...chain,
  counts: { in: 9, scored: 3, copied: 2, quarantined: 4, lost: 0 },
  engine: { name: "onnxruntime", version: "1.30.0", backend: "cpu", device: "cpu", batchInvariant: "yes", batch: 16 },
  watermarkMs: NOW_MS,
  lastMs: NOW_MS - 1,
  shard: 1,
  shards: 2,
  datasets: [
    {
      dataset: "d",
      parameters: "cd".repeat(32),
      parts: [{ paneMs: null, thresholdsAt: [{ partition: 7, origin: 0, end: 900 }], batch: rows }],
    },
    {
      dataset: "weekly",
      parameters: "ef".repeat(32),
      parts: [{ paneMs: NOW_MS, thresholdsAt: null, batch: none }],
    },
  ],
};

export const NO_CANDIDATES: CandidatesMessage = { ...CANDIDATES, watermarkMs: null, lastMs: null, datasets: [] };

export const THRESHOLDS: Thresholds = {
  dataset: "d",
  parameters: "cd".repeat(32),
  teacher: TEACHER,
  paneMs: null,
  shard: 1,
  shards: 2,
  at: [{ partition: 7, origin: 0, end: 900 }],
  records: 900,
  scored: 850,
  keys: Float64Array.of(-0.25, Number.NEGATIVE_INFINITY, -1e-300),
  counts: Uint32Array.of(110, 0, 2 ** 32 - 1),
};

export const PUBLISHED: Published = {
  dataset: "d",
  number: 12,
  id: "12".repeat(32),
  parent: null,
  teacher: TEACHER,
  stream: "images",
  manifest: "versions/d/12/manifest.json",
  rows: 5_000,
  images: 4_321,
  createdAtMs: NOW_MS,
};

export const PUBLISHED_WITH_DELTA: Published = {
  ...PUBLISHED,
  delta: { key: "versions/d/12/delta.parquet", since: 11 },
};

export const QUARANTINED: Quarantined = {
  teacher: TEACHER,
  stream: "images",
  partition: 7,
  offset: 1_002,
  code: "E_IMAGE_TRUNCATED",
  reason: "ends in row 17 — “half”",
  sha256: null,
  uri: "s3://photographs/ü.jpg",
  eventTimeMs: -86_400_000,
  retryOf: 4,
};

export const LABEL: ImageLabel = {
  sha256: "0f".repeat(32),
  verdict: "not",
  class: "tabby, “striped”",
  timeMs: NOW_MS,
  by: null,
};

/** What today's code writes. The files of the same names in test/fixtures/wire hold what version 1 wrote first. */
export function goldenRecords(): Readonly<Record<string, LogRecord>> {
  const image = {
    uri: "s3://photographs/ü.jpg",
    bytes: Uint8Array.of(0xff, 0xd8, 0xff, 0),
    eventTimeMs: NOW_MS,
    licence: "CC-BY-4.0",
    origin: "camera 7",
    retryOf: 3,
  };
  return {
    "candidates-2": encodeCandidates(CANDIDATES, NOW_MS),
    "candidates-empty-2": encodeCandidates(NO_CANDIDATES, NOW_MS),
    "image-inline-1": encodeImageRecord(image),
    "image-reference-1": encodeImageRecord({ ...image, bytes: null, licence: null, origin: null, retryOf: null }),
    "labels-1": encodeLabel(LABEL),
    "quarantine-1": encodeQuarantined(QUARANTINED, NOW_MS),
    "thresholds-1": encodeThresholds(THRESHOLDS, NOW_MS),
    "versions-1": encodePublished(PUBLISHED),
    "versions-2": encodePublished(PUBLISHED_WITH_DELTA),
  };
}
