import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { newestManifest, publishedDatasets } from "../../operators/version/manifests.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { digestsFrom, isShortDigest } from "./label-images.js";
import { readSomeColumns } from "./index-reader.js";

export interface NamedImageOptions {
  readonly store: Store;
  readonly opener: ImageOpener;
  /** The file of that path, null where there is none */
  readonly readFile: (path: string) => Promise<Uint8Array | null>;
}

/** Larger files are no images. */
const MOST_BYTES = 2 ** 30;

/**
 * The SHA-256 of an image that is named by it, by its first digits (of an image of a newest version), by a file, or by the uri that a version
 * has it under or that it can be read at. Throws E_USAGE, and what the opener throws for a uri.
 */
export async function namedImage(text: string, { store, opener, readFile }: NamedImageOptions): Promise<string> {
  const digest = text.replace(/^sha256:/i, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  if (/^[a-z0-9]+:/i.test(text) && !/^sha256:/i.test(text)) {
    return (await digestAt(store, text)) ?? sha256Hex(await opener.open(text, MOST_BYTES));
  }
  const file = await readFile(text);
  if (file !== null) return sha256Hex(file);
  if (isShortDigest(text)) return digestStarting(store, text);
  throw new SluiceError(
    "E_USAGE",
    `Expected an image: its SHA-256 or the first six of its digits at least, a file that is there, or a uri such as file:///pictures/1.jpg; found "${text}".`,
  );
}

async function digestAt(store: Store, uri: string): Promise<string | null> {
  for (const dataset of await publishedDatasets(store)) {
    const manifest = await newestManifest(store, dataset);
    if (manifest === null) continue;
    for await (const { count, uri: uris, sha256 } of readSomeColumns(store, manifest, ["uri", "sha256"]))
      for (let row = 0; row < count; row++) if (uris[row] === uri) return sha256[row]!;
  }
  return null;
}

async function digestStarting(store: Store, text: string): Promise<string> {
  let last: SluiceError | null = null;
  for (const dataset of await publishedDatasets(store)) {
    const manifest = await newestManifest(store, dataset);
    if (manifest === null) continue;
    try {
      return (await digestsFrom(store, manifest, [text]))[0]!;
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== "E_USAGE") throw error;
      last = error;
    }
  }
  throw (
    last ??
    new SluiceError(
      "E_USAGE",
      `Expected all 64 digits of an image's SHA-256, since there is no version yet; found "${text}".`,
    )
  );
}
