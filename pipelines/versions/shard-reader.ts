import { extract, type Header } from "tar-stream";
import type { Store } from "../../connectors/store/store.js";
import { IMAGE_FIELD } from "../../operators/version/publish-plan.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { Sidecar } from "../../schemas/sample-sidecar.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { publishedStream } from "./published-file.js";

/** One image of a version as it lies in a shard. */
export interface Sample {
  readonly class: number;
  /** from 1 */
  readonly rank: number;
  /** hexadecimal; as the shard says, `verify` checks it */
  readonly sha256: string;
  /** The encoded image */
  readonly bytes: Uint8Array;
  /** jpg, png, webp …: as the shard says */
  readonly format: string;
  /** The whole sidecar, as the shard says */
  readonly about: Partial<Record<keyof Sidecar, unknown>>;
}

/** The version's shards, in the manifest's order. */
export function shardFiles(manifest: Manifest): ManifestFile[] {
  return manifest.files.filter(({ key }) => key.endsWith(".tar"));
}

/**
 * Every image of the version that is not absent, in the shards' order: shuffled over classes and ranks within a group of
 * classes (all of them, unless the version has more than half a million rows). An image chosen for two classes comes twice.
 * `shards` picks and orders the files, by default all. A shard that is another than was published is told of after its last image. Throws E_VERSION_CORRUPT, E_STORE_MISSING, E_STORE_IO.
 */
export async function* readSamples(
  store: Store,
  manifest: Manifest,
  shards: readonly ManifestFile[] = shardFiles(manifest),
): AsyncGenerator<Sample> {
  for (const file of shards) yield* readShard({ getStream: () => publishedStream(store, manifest, file) }, file.key);
}

/** The samples of one shard. Errors as readSamples. */
export async function* readShard(store: Pick<Store, "getStream">, key: string): AsyncGenerator<Sample> {
  let name = "";
  let parts = new Map<string, Uint8Array>();
  for await (const { header, content } of tarFiles(store, key)) {
    const dot = header.name.indexOf(".");
    const base = dot < 0 ? header.name : header.name.slice(0, dot);
    if (base !== name && parts.size > 0) {
      yield sample(key, name, parts);
      parts = new Map();
    }
    name = base;
    parts.set(header.name.slice(base.length + 1), content);
  }
  if (parts.size > 0) yield sample(key, name, parts);
}

function sample(key: string, name: string, parts: ReadonlyMap<string, Uint8Array>): Sample {
  const broken = (found: string): SluiceError =>
    new SluiceError(
      "E_VERSION_CORRUPT",
      `Expected .${IMAGE_FIELD}, .cls and .json of sample ${name} in ${key}, found ${found}. Restore the object from a copy.`,
      { key, sample: name },
    );
  const json = parts.get("json");
  const image = parts.get(IMAGE_FIELD);
  if (json === undefined || image === undefined || !parts.has("cls") || parts.size !== 3) {
    throw broken([...parts.keys()].join(", "));
  }
  let sidecar: Partial<Record<keyof Sidecar, unknown>>;
  try {
    sidecar = JSON.parse(new TextDecoder().decode(json)) as typeof sidecar;
  } catch (error) {
    throw broken(`a .json that does not parse: ${messageOf(error)}`);
  }
  const { class: classIndex, rank, sha256, format } = sidecar;
  if (
    typeof classIndex !== "number" ||
    typeof rank !== "number" ||
    typeof sha256 !== "string" ||
    typeof format !== "string"
  ) {
    throw broken("a .json without class, rank, sha256 and format");
  }
  if (new TextDecoder().decode(parts.get("cls")) !== String(classIndex))
    throw broken("a .cls other than its .json's class");
  return { class: classIndex, rank, sha256, bytes: image, format, about: sidecar };
}

/** The files of a tar object. Memory holds one file and what the parser reads ahead. */
async function* tarFiles(
  store: Pick<Store, "getStream">,
  key: string,
): AsyncGenerator<{ header: Header; content: Uint8Array }> {
  const archive = extract();
  const feeding = feed(store, key, archive);
  feeding.catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(messageOf(error)));
  });
  try {
    for await (const entry of archive) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry) chunks.push(chunk as Uint8Array);
      yield { header: entry.header, content: chunks.length === 1 ? chunks[0]! : new Uint8Array(Buffer.concat(chunks)) };
    }
    await feeding;
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError(
      "E_VERSION_CORRUPT",
      `Expected a tar archive at ${key}, found bytes that do not read as one: ${messageOf(error)}. Restore the object from a copy.`,
      { cause: error, key },
    );
  } finally {
    archive.destroy(new Error("no longer read"));
  }
}

async function feed(store: Pick<Store, "getStream">, key: string, archive: ReturnType<typeof extract>): Promise<void> {
  for await (const chunk of store.getStream(key)) {
    if (archive.destroyed) return;
    if (!archive.write(chunk)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          archive.off("drain", done);
          archive.off("close", done);
          resolve();
        };
        archive.on("drain", done);
        archive.on("close", done);
      });
    }
  }
  archive.end(undefined);
}
