import { getIfThere, type Store } from "../../connectors/store/store.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { canonicalJson, sha256Hex } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ExportFormat } from "../../schemas/export-format.js";
import { versionLabels, type Manifest, type ManifestFile } from "../../schemas/manifest.js";
import type { OnProgress } from "../../schemas/progress.js";
import { groupsOfVersion } from "../console/exported-rows.js";
import { AUDIT_ROWS } from "../console/review/review-queue.js";
import { auditVersion } from "../audit.js";
import { pinned } from "../flow/pinned.js";
import { readIndexColumns, readSomeColumns } from "../versions/index-reader.js";
import { hashed } from "../versions/hashed-stream.js";
import { readShard, shardFiles, type Sample } from "../versions/shard-reader.js";
import { csvClasses, csvRows } from "./csv-lines.js";
import { exportCard, type CardFacts, type LicenceCounts } from "./export-card.js";
import { classFolders } from "./export-names.js";
import type { ExportTarget } from "./export-target.js";
import { ImageFolder } from "./image-folder.js";
import { tfRecord } from "./tf-record.js";

/** Written first: what the place is for */
const MARK = "export.json";
/** Written last: with it the export is whole */
const CARD = "README.md";

export interface ExportOptions {
  readonly as: ExportFormat;
  readonly onProgress?: OnProgress;
  /** Stops in order: what is written stays, and the same call goes on with the rest */
  readonly signal?: AbortSignal;
}

export interface Exported {
  readonly place: string;
  readonly as: ExportFormat;
  /** `there`: it was whole already, and nothing was written */
  readonly outcome: "exported" | "resumed" | "there";
  readonly rows: number;
  /** Files of the export, and of them those that an earlier call had written */
  readonly files: number;
  readonly kept: number;
}

/**
 * Writes a version into an empty place, in a form that others read. Each file gets its name once it is whole; a call that was cut off is gone on with by the same
 * call. What is read is checked by the digests of the manifest. Throws E_EXPORT_TARGET where something else is there, E_VERSION_CORRUPT, E_STORE_MISSING,
 * E_CANCELLED, and what the target's store throws: E_STORE_FULL, E_STORE_READONLY, E_STORE_IO.
 */
export async function exportVersion(
  store: Store,
  manifest: Manifest,
  target: ExportTarget,
  options: ExportOptions,
): Promise<Exported> {
  const archive = { teacher: manifest.teacher.digest, stream: manifest.provenance.stream };
  // A rule that lets the version go meanwhile waits with its files.
  return pinned(store, archive, "export", {}, () => exportFiles(store, manifest, target, options));
}

async function exportFiles(
  store: Store,
  manifest: Manifest,
  target: ExportTarget,
  options: ExportOptions,
): Promise<Exported> {
  const { as } = options;
  const mark = canonicalJson({
    dataset: manifest.dataset,
    number: manifest.number,
    id: manifest.id,
    as,
    files: sha256Hex(manifest.files.map(({ key, sha256 }) => `${key} ${sha256}\n`).join("")),
  });
  const resumed = await claim(target, mark, manifest);
  const there = new Map<string, number>();
  if (resumed) for await (const { key, sizeBytes } of target.store.list("")) there.set(key, sizeBytes);
  const writing = new Writing(target.store, there, manifest, options);
  const outcome = there.has(CARD) ? "there" : resumed ? "resumed" : "exported";
  if (outcome !== "there") {
    await writeFiles(store, manifest, as, writing);
    await writing.put(CARD, Buffer.from(exportCard(manifest, as, await factsOf(store, manifest))));
  }
  const { files, kept } = outcome === "there" ? { files: there.size, kept: there.size } : writing;
  return { place: target.store.place, as, outcome, rows: manifest.totals.rows, files, kept };
}

/** What the card says beside the manifest: licences, and how right the rows are that people have judged. */
async function factsOf(store: Store, manifest: Manifest): Promise<CardFacts> {
  const audit = await auditVersion(store, manifest, { rows: AUDIT_ROWS, perClass: null, seed: 0 });
  return { licences: await licencesOf(store, manifest), audit };
}

/** Whether an export of the same files was begun here. Throws E_EXPORT_TARGET where the place holds anything else. */
async function claim({ store, found }: ExportTarget, mark: string, manifest: Manifest): Promise<boolean> {
  // Of two that begin at once, one says what the place is for.
  if (found.length === 0 && (await store.putIfAbsent(MARK, Buffer.from(`${mark}\n`))) === "created") return false;
  const bytes = await getIfThere(store, MARK);
  const said = bytes === null ? null : Buffer.from(bytes).toString("utf8").trim();
  if (said === mark) return true;
  const what =
    said === null ? `${found.slice(0, 3).join(", ")}${found.length > 3 ? " and more" : ""}` : `another export, ${said}`;
  throw new SluiceError(
    "E_EXPORT_TARGET",
    `Expected at ${store.place} nothing, or an unfinished export of ${manifest.dataset}/${manifest.number} in the same form, found ${what}. ` +
      "Name another place with --to, or empty this one yourself: an export deletes nothing.",
    { place: store.place },
  );
}

async function licencesOf(store: Store, manifest: Manifest): Promise<LicenceCounts> {
  const counts = new Map<string, number>();
  for await (const { count, licence } of readSomeColumns(store, manifest, ["licence"])) {
    for (let row = 0; row < count; row++) {
      const name = licence[row] ?? "";
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return counts;
}

async function writeFiles(store: Store, manifest: Manifest, as: ExportFormat, writing: Writing): Promise<void> {
  const rows = () => groupsOfVersion(readIndexColumns(store, manifest));
  if (as === "hf") {
    // The card is the export's own.
    for (const file of manifest.files) if (!file.key.endsWith(`/${CARD}`)) await writing.copy(store, file);
    return;
  }
  const folders = as === "folder" ? classFolders(versionLabels(manifest)) : null;
  await writing.put("classes.csv", csvClasses(manifest, folders));
  if (as === "csv") {
    await writing.stream("rows.csv", csvRows(rows()));
  } else if (folders !== null) {
    const images = new ImageFolder(manifest, folders);
    for (const { key } of shardFiles(manifest)) await writing.all(images.files(checked(readShard(store, key), key)));
    await writing.stream(
      "rows.csv",
      csvRows(rows(), (row) => images.placeOf(row)),
    );
  } else {
    for (const file of shardFiles(manifest)) {
      if (as === "webdataset") await writing.copy(store, file);
      else
        await writing.stream(
          `records/${nameOf(file).replace(/\.tar$/, ".tfrecord")}`,
          records(store, file.key),
          file.rows,
        );
    }
  }
}

async function* records(store: Store, key: string): AsyncGenerator<Uint8Array> {
  for await (const sample of checked(readShard(store, key), key)) yield tfRecord(sample);
}

/** Samples whose bytes are those of their digest. Throws E_VERSION_CORRUPT. */
async function* checked(samples: AsyncIterable<Sample>, key: string): AsyncGenerator<Sample> {
  for await (const sample of samples) {
    const found = sha256Hex(sample.bytes);
    if (found !== sample.sha256) throw damaged(key, sample.sha256, found);
    yield sample;
  }
}

function damaged(key: string, expected: string, found: string): SluiceError {
  return new SluiceError(
    "E_VERSION_CORRUPT",
    `Expected bytes of SHA-256 ${expected} in ${key}, found ${found}. Restore the object from a copy; \`sluice versions verify\` says what else is damaged.`,
    { key },
  );
}

const nameOf = ({ key }: Pick<ManifestFile, "key">): string => key.slice(key.lastIndexOf("/") + 1);

/** Files of many bytes are few; images are many and small, and wait for the disk together. */
const AT_ONCE = 32;

/** Files on their way into the target: what is there already is not written again. */
class Writing {
  files = 0;
  kept = 0;
  #rows = 0;
  readonly #target: Store;
  readonly #there: ReadonlyMap<string, number>;
  readonly #manifest: Manifest;
  readonly #options: ExportOptions;

  constructor(target: Store, there: ReadonlyMap<string, number>, manifest: Manifest, options: ExportOptions) {
    this.#target = target;
    this.#there = there;
    this.#manifest = manifest;
    this.#options = options;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    if (!this.#isThere(key)) await this.#target.put(key, bytes);
  }

  async stream(key: string, chunks: AsyncIterable<Uint8Array>, rows: number | null = null): Promise<void> {
    if (!this.#isThere(key)) await this.#target.putStream(key, this.#stoppable(chunks));
    this.#progress(rows ?? 0);
  }

  /** A file of the version, under its name below the version's folder. */
  async copy(store: Store, file: ManifestFile): Promise<void> {
    const key = file.key.split("/").slice(4).join("/");
    const source = hashed(store);
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      yield* source.getStream(file.key);
      const found = source.digest().sha256;
      if (found !== file.sha256) throw damaged(file.key, file.sha256, found);
    };
    await this.stream(key, chunks(), file.key.endsWith(".tar") ? file.rows : null);
  }

  /** Many small files, several at once. */
  async all(files: AsyncIterable<{ readonly key: string; readonly bytes: Uint8Array }>): Promise<void> {
    const running = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const write = async (key: string, bytes: Uint8Array): Promise<void> => {
      try {
        await this.put(key, bytes);
      } catch (error) {
        failures.push(error);
      }
    };
    for await (const { key, bytes } of files) {
      if (failures.length > 0) break;
      const one = write(key, bytes).finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_ONCE) await Promise.race(running);
      this.#progress(1);
    }
    await Promise.all(running);
    if (failures.length > 0) throw failures[0];
  }

  async *#stoppable(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#throwIfStopped();
      yield chunk;
    }
  }

  #isThere(key: string): boolean {
    this.#throwIfStopped();
    this.files++;
    if (!this.#there.has(key)) return false;
    this.kept++;
    return true;
  }

  #throwIfStopped(): void {
    throwIfStopped(
      this.#options.signal,
      `The export to ${this.#target.place} was stopped; the same command goes on with what is missing.`,
    );
  }

  #progress(rows: number): void {
    this.#rows += rows;
    this.#options.onProgress?.({
      phase: "export",
      done: this.#rows,
      total: this.#manifest.totals.rows - this.#manifest.totals.bytesAbsent,
      kept: 0,
      scored: 0,
      copied: 0,
      quarantined: 0,
    });
  }
}
