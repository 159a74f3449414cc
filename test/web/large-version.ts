import { join } from "node:path";
import { openStore } from "../../pipelines/open/workspace.js";
import { encodeManifest } from "../../operators/version/manifests.js";
import { IndexWriter } from "../../operators/version/index-writer.js";
import { rowGroup } from "../../operators/version/publish-plan.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { selectionSchema } from "../../schemas/dataset.js";
import { keys } from "../../schemas/keys.js";
import { manifestSchema } from "../../schemas/manifest.js";
import { BYTES, DIGEST_BYTES } from "../../schemas/scored-batch.js";

export interface LargeVersion {
  readonly data: string;
  readonly dataset: string;
  readonly classes: number;
  /** Rows a class */
  readonly rows: number;
  /** Images that there are, which all rows are of: SHA-256 and path */
  readonly images: readonly { readonly sha256: string; readonly path: string; readonly sizeBytes: number }[];
}

/** Rows of one index file */
const FILE_ROWS = 512_000;

/**
 * Writes the index and the manifest of a version that nobody could publish here: as large as they come, over a few images. It has no
 * shards and no archive behind it; a wall is read from it as from any.
 */
export async function writeLargeVersion({ data, dataset, classes, rows, images }: LargeVersion): Promise<void> {
  const store = await openStore({ data: join(data) });
  const labels = Array.from({ length: classes }, (_, index) => `class ${index}`);
  const writer = new IndexWriter({ store, folder: `${keys.attempt(dataset, "1-large")}index/`, labels });
  const group: ChosenRows[] = [];
  let held = 0;
  const flush = async (): Promise<void> => {
    await writer.write(rowGroup(group), new Int32Array(held).fill(-1));
    group.length = 0;
    held = 0;
  };
  for (let index = 0; index < classes; index++) {
    group.push(classRows(index, rows, images));
    held += rows;
    if (held + rows > FILE_ROWS) await flush();
  }
  if (held > 0) await flush();
  const digest = sha256Hex("large");
  const manifest = manifestSchema.parse({
    schemaVersion: 1,
    dataset,
    number: 1,
    id: digest,
    select: selectionSchema.parse({ k: rows, p: 1 }),
    span: { startMs: null, endMs: null },
    teacher: { digest, name: "large", labels, temperature: 1 },
    classes: labels.map((label, index) => ({
      class: index,
      label,
      k: rows,
      count: rows,
      repeated: 0,
      best: 1 - 1 / (2 * rows),
      worst: 0.5,
      starving: false,
    })),
    totals: {
      rows: rows * classes,
      images: images.length,
      bytesAbsent: rows * classes,
      records: { in: rows, scored: rows, copied: 0, quarantined: 0, lost: 0 },
    },
    files: writer.files,
    provenance: {
      parent: null,
      stream: "images",
      frontier: [],
      engines: [],
      incomplete: false,
      codeVersion: "0",
      createdAt: new Date(0).toISOString(),
      commitId: "large",
      trigger: "test",
    },
  });
  await store.put(keys.manifest(dataset, 1), encodeManifest(manifest));
  await store.close();
}

function classRows(index: number, rows: number, images: LargeVersion["images"]): ChosenRows {
  const digest = new Uint8Array(rows * DIGEST_BYTES);
  const at = (row: number): number => (index + row) % images.length;
  const digests = images.map(({ sha256 }) => Buffer.from(sha256, "hex"));
  for (let row = 0; row < rows; row++) digest.set(digests[at(row)]!, row * DIGEST_BYTES);
  const probability = Float64Array.from({ length: rows }, (_, row) => 1 - (row + 1) / (2 * rows));
  return {
    class: index,
    count: rows,
    keys: probability.map(Math.log),
    probability,
    repeat: new Uint32Array(rows),
    digest,
    partition: new Int32Array(rows),
    offset: Float64Array.from({ length: rows }, (_, row) => index * rows + row),
    eventTimeMs: new Float64Array(rows),
    sizeBytes: Uint32Array.from({ length: rows }, (_, row) => images[at(row)]!.sizeBytes),
    width: new Uint32Array(rows).fill(20),
    height: new Uint32Array(rows).fill(18),
    uri: Array.from({ length: rows }, (_, row) => `file://${images[at(row)]!.path}`),
    licence: new Array<null>(rows).fill(null),
    origin: new Array<null>(rows).fill(null),
    notes: new Array<null>(rows).fill(null),
    bytes: new Uint8Array(rows).fill(BYTES.refer),
    pack: new Array<null>(rows).fill(null),
  };
}
