import { createHash } from "node:crypto";
import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { Store } from "../../connectors/store/store.js";
import { SHEETS } from "../../operators/version/contact-sheet.js";
import { indexFileOf, type WrittenColumns } from "../../operators/version/index-writer.js";
import { readManifest, redactionsOf } from "../../operators/version/manifests.js";
import { fileNumber, sampleName, sheetRows } from "../../operators/version/publish-plan.js";
import { tarWithout } from "../../operators/version/tar-without.js";
import { ERASED_URI } from "../../schemas/erased.js";
import { keys } from "../../schemas/keys.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { encodeRedaction } from "../../schemas/redaction.js";
import { readIndexFile, type IndexColumns } from "../versions/index-reader.js";
import { publishedFile, publishedSize } from "../versions/published-file.js";
import { readShard } from "../versions/shard-reader.js";

export interface RedactOptions {
  readonly store: Store;
  readonly dataset: string;
  readonly number: number;
  /** 64 hexadecimal digits each */
  readonly digests: ReadonlySet<string>;
  /** Draws contact sheets anew */
  readonly sheets: SheetRenderer;
  readonly nowMs: () => number;
  readonly dryRun: boolean;
}

export interface RedactedVersion {
  readonly dataset: string;
  readonly number: number;
  /** Rows that led to the images */
  readonly rows: number;
  /** Files that are written anew */
  readonly files: readonly string[];
}

/** How a file is written anew: the same bytes at each call, and the same where it was written so already. */
interface Anew {
  readonly file: ManifestFile;
  /** `counted`: as many as samples are passed on */
  readonly rows: number | null | "counted";
  readonly chunks: (onSample: () => void) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A row of an index that is drawn, and where its image lies */
interface Drawn {
  readonly class: number;
  readonly rank: number;
  readonly sha256: string;
  readonly shard: string | null;
}

/**
 * Takes images out of a version's files. Which files are others now a redaction says, created before they are written; the index comes
 * last. So as long as the index leads to an image it is not done, and what was interrupted is gone on from by looking. Returns null where the version has
 * none of the images.
 */
export async function redactVersion(options: RedactOptions): Promise<RedactedVersion | null> {
  const { store, dataset, number, digests, dryRun } = options;
  const manifest = await readManifest(store, dataset, number);
  const found = await leadingRows(store, manifest, digests);
  if (found.rows === 0) return null;
  const isIn = (file: ManifestFile, folder: string): boolean => file.key.includes(`/${folder}/`);
  const shards = manifest.files.filter(({ key }) => found.samples.has(nameOf(key)) && key.endsWith(".tar"));
  const sheets = manifest.files.filter(
    (file) => isIn(file, SHEETS) && [...found.classes].some((one) => nameOf(file.key) === `${fileNumber(one)}.webp`),
  );
  const { indexes } = found;
  const croissant = manifest.files.filter(({ key }) => nameOf(key) === "croissant.json");
  const files = [...shards, ...sheets, ...croissant, ...indexes].map(({ key }) => key);
  const done = { dataset, number, rows: found.rows, files };
  if (dryRun) return done;

  // What is damaged must not be written anew and called right.
  for (const file of shards) await publishedSize(store, manifest, file);
  const anew: Anew[] = shards.map((file) => {
    const samples = found.samples.get(nameOf(file.key))!;
    return {
      file,
      rows: "counted",
      chunks: (onSample) =>
        tarWithout(store.getStream(file.key), samples, file.key, (name) => {
          if (name.endsWith(".json")) onSample();
        }),
    };
  });
  for (const file of sheets) {
    const bytes = await drawnSheet(file, manifest, found, options);
    anew.push({ file, rows: null, chunks: () => [bytes] });
  }
  const written = await Promise.all(
    indexes.map(async (file): Promise<Anew> => {
      const groups: WrittenColumns[] = [];
      for await (const columns of readIndexFile(store, manifest, file)) groups.push(redactedColumns(columns, digests));
      return { file, rows: file.rows, chunks: () => indexFileOf(groups) };
    }),
  );
  const sized = new Map<string, ManifestFile>();
  for (const one of [...anew, ...written]) sized.set(one.file.key, await measured(one));
  for (const file of croissant) {
    const bytes = croissantWith(await publishedFile(store, manifest, file), sized, folderOf(file.key));
    const one: Anew = { file, rows: file.rows, chunks: () => [bytes] };
    anew.push(one);
    sized.set(file.key, await measured(one));
  }
  await say(options, manifest, [...sized.values()], found.absent);
  // What was measured is what is written: the sources are the same until the last of them.
  for (const { file, chunks } of [...anew, ...written])
    await store.putStream(
      file.key,
      chunks(() => undefined),
    );
  return done;
}

interface Leading {
  rows: number;
  /** Rows without bytes once these have none */
  absent: number;
  /** Index files that lead to an image */
  readonly indexes: ManifestFile[];
  /** Samples of the images by the name of their shard */
  readonly samples: Map<string, Set<string>>;
  readonly classes: Set<number>;
}

/** What of a version leads to images, as its index says. */
async function leadingRows(store: Store, manifest: Manifest, digests: ReadonlySet<string>): Promise<Leading> {
  const found: Leading = { rows: 0, absent: 0, indexes: [], samples: new Map(), classes: new Set() };
  for (const file of manifest.files.filter(({ key }) => key.endsWith(".parquet"))) {
    const before = found.rows;
    for await (const columns of readIndexFile(store, manifest, file)) {
      for (let row = 0; row < columns.count; row++) {
        const isErased = digests.has(columns.sha256[row]!);
        if (isErased || columns.bytes[row] === "absent") found.absent++;
        if (!isErased || columns.uri[row] === ERASED_URI) continue;
        found.rows++;
        found.classes.add(columns.class[row]!);
        const shard = columns.shard[row] ?? null;
        if (shard === null) continue;
        const sample = sampleName(columns.class[row]!, columns.rank[row]!);
        const known = found.samples.get(shard);
        if (known === undefined) found.samples.set(shard, new Set([sample]));
        else known.add(sample);
      }
    }
    if (found.rows > before) found.indexes.push(file);
  }
  return found;
}

function redactedColumns(columns: IndexColumns, digests: ReadonlySet<string>): WrittenColumns {
  const { count } = columns;
  const isErased = (row: number): boolean => digests.has(columns.sha256[row]!);
  const text = <T extends string | null>(column: ArrayLike<T>, erased?: T): T[] =>
    Array.from({ length: count }, (_, row) =>
      erased !== undefined && isErased(row) ? erased : (column[row] ?? (null as T)),
    );
  return {
    class: Int32Array.from(columns.class),
    label: text(columns.label),
    rank: Int32Array.from(columns.rank),
    sha256: text(columns.sha256),
    key: Float64Array.from(columns.key, (key) => key ?? Number.NaN),
    probability: Float64Array.from(columns.probability, (one) => one ?? Number.NaN),
    uri: text(columns.uri, ERASED_URI),
    partition: Int32Array.from(columns.partition),
    offset: BigInt64Array.from(Array.from(columns.offset)),
    event_time: BigInt64Array.from(Array.from(columns.event_time, (time) => BigInt(time.getTime()))),
    size_bytes: BigInt64Array.from(Array.from(columns.size_bytes)),
    width: Int32Array.from(columns.width),
    height: Int32Array.from(columns.height),
    licence: text(columns.licence, null),
    origin: text(columns.origin, null),
    notes: text(columns.notes),
    bytes: text<string>(columns.bytes, "absent"),
    shard: text(columns.shard, null),
    repeat: Int32Array.from(columns.repeat),
    by: text<string>(columns.by),
  };
}

/** A class's contact sheet without the images. */
async function drawnSheet(
  file: ManifestFile,
  manifest: Manifest,
  found: Leading,
  { store, sheets, digests }: RedactOptions,
): Promise<Uint8Array> {
  const number = [...found.classes].find((one) => nameOf(file.key) === `${fileNumber(one)}.webp`)!;
  const { count } = manifest.classes[number]!;
  const picks = Object.entries(sheetRows(count, sheets.width));
  const drawn = await drawnRows(store, manifest, number, new Set(picks.flatMap(([, rows]) => rows)));
  const bytes = await imagesOf(
    store,
    manifest,
    [...drawn.values()].filter(({ sha256 }) => !digests.has(sha256)),
  );
  return sheets.render(
    picks.map(([name, rows]) => ({
      name,
      images: rows.map((row) => {
        const { rank, sha256 } = drawn.get(row)!;
        return { rank, sha256, bytes: bytes.get(rank) ?? null };
      }),
    })),
  );
}

/** Rows of a class, by their place from 0. */
async function drawnRows(
  store: Store,
  manifest: Manifest,
  number: number,
  wanted: ReadonlySet<number>,
): Promise<Map<number, Drawn>> {
  const drawn = new Map<number, Drawn>();
  for (const file of manifest.files.filter(({ key }) => key.endsWith(".parquet"))) {
    for await (const columns of readIndexFile(store, manifest, file)) {
      for (let row = 0; row < columns.count; row++) {
        const place = columns.rank[row]! - 1;
        if (columns.class[row] !== number || !wanted.has(place)) continue;
        const [sha256, shard] = [columns.sha256[row]!, columns.shard[row] ?? null];
        drawn.set(place, { class: number, rank: place + 1, sha256, shard });
      }
    }
  }
  return drawn;
}

/** Bytes of rows of one class that are in shards, by their ranks. */
async function imagesOf(store: Store, manifest: Manifest, rows: readonly Drawn[]): Promise<Map<number, Uint8Array>> {
  const images = new Map<number, Uint8Array>();
  const shards = new Set(rows.map(({ shard }) => shard));
  const wanted = new Set(rows.map((one) => sampleName(one.class, one.rank)));
  for (const { key } of manifest.files.filter((file) => file.key.endsWith(".tar") && shards.has(nameOf(file.key)))) {
    for await (const sample of readShard(store, key))
      if (wanted.has(sampleName(sample.class, sample.rank))) images.set(sample.rank, sample.bytes);
  }
  return images;
}

async function measured({ file, rows, chunks }: Anew): Promise<ManifestFile> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let samples = 0;
  for await (const chunk of chunks(() => {
    samples++;
  })) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { key: file.key, rows: rows === "counted" ? samples : rows, sizeBytes, sha256: hash.digest("hex") };
}

/** The metadata with the sizes and digests that index files have now. `folder`: what paths in it are relative to */
function croissantWith(bytes: Uint8Array, files: ReadonlyMap<string, ManifestFile>, folder: string): Uint8Array {
  const document = JSON.parse(Buffer.from(bytes).toString()) as {
    distribution: { contentUrl?: string; contentSize?: string; sha256?: string }[];
  };
  for (const one of document.distribution) {
    const file = files.get(`${folder}${one.contentUrl ?? ""}`);
    if (file === undefined) continue;
    one.contentSize = `${file.sizeBytes} B`;
    one.sha256 = file.sha256;
  }
  return Buffer.from(JSON.stringify(document, null, 2) + "\n");
}

/** Creates the redaction that says which files are others, unless it stands already. */
async function say(
  { store, dataset, number, digests, nowMs }: RedactOptions,
  manifest: Manifest,
  files: readonly ManifestFile[],
  bytesAbsent: number,
): Promise<void> {
  for (;;) {
    const before = await redactionsOf(store, dataset, number);
    const standing = new Map(manifest.files.map((file) => [file.key, file]));
    for (const one of before.flatMap((redaction) => redaction.files)) standing.set(one.key, one);
    const isSaid = files.every((file) => {
      const known = standing.get(file.key);
      return known?.sha256 === file.sha256 && known.sizeBytes === file.sizeBytes && known.rows === file.rows;
    });
    if (before.length > 0 && isSaid) return;
    const inIt = await imagesIn(store, manifest, digests);
    const redaction = before.length + 1;
    const outcome = await store.putIfAbsent(
      keys.redaction(dataset, number, redaction),
      encodeRedaction({
        schemaVersion: 1,
        dataset,
        number,
        redaction,
        createdAt: new Date(nowMs()).toISOString(),
        erased: [...new Set([...(before.at(-1)?.erased ?? []), ...inIt])].sort(),
        files: [...files],
        bytesAbsent,
      }),
    );
    if (outcome === "created") return;
  }
}

/** Which of the images the version has rows of */
async function imagesIn(store: Store, manifest: Manifest, digests: ReadonlySet<string>): Promise<Set<string>> {
  const found = new Set<string>();
  for (const file of manifest.files.filter(({ key }) => key.endsWith(".parquet"))) {
    for await (const { count, sha256 } of readIndexFile(store, manifest, file))
      for (let row = 0; row < count; row++) if (digests.has(sha256[row]!)) found.add(sha256[row]!);
  }
  return found;
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf("/") + 1);
}
