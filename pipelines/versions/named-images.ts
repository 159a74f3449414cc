import { pathToFileURL } from "node:url";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import type { Store } from "../../connectors/store/store.js";
import { newestManifest, publishedDatasets } from "../../operators/version/manifests.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { readSomeColumns } from "./index-reader.js";

/** An image as a label file names it: by digest, by where it lies, or by its file's name without the ending. */
export type ImageNamed = { readonly sha256: string } | { readonly uri: string } | { readonly name: string };

/**
 * Completes images that are named by where they lie to their digests, from the rows of the newest version of each dataset and, where these have not all, of the stream's
 * archive: by the whole uri or path; else by the file's name, where only one image has it (as a labelling tool's upload keeps it) or only one lies at a path that
 * ends so. Throws E_USAGE, naming the place, for what is none of them or several.
 */
export async function digestsOfNamed(
  store: Store,
  stream: string,
  images: readonly { readonly image: ImageNamed; readonly place: string }[],
): Promise<string[]> {
  const places = new ImagePlaces(images.map(({ image }) => image));
  const isKnown = ({ image }: (typeof images)[number]): boolean => "sha256" in image || places.of(image).length > 0;
  if (!images.every(isKnown)) {
    for (const dataset of await publishedDatasets(store)) {
      const manifest = await newestManifest(store, dataset);
      if (manifest === null) continue;
      for await (const { count, uri, sha256 } of readSomeColumns(store, manifest, ["uri", "sha256"]))
        for (let row = 0; row < count; row++) places.add(uri[row]!, sha256[row]!);
    }
  }
  if (!images.every(isKnown)) {
    for (const teacher of (await readCards(store)).keys()) {
      const archive = new ArchiveReader(store, { teacher, stream });
      for (const chain of await archive.frontier({ onGap: passOver })) {
        for await (const { batch } of archive.segments(chain, chain.origin, chain.end, passOver)) {
          const digests = Buffer.from(batch.digest.buffer, batch.digest.byteOffset, batch.digest.byteLength);
          for (let row = 0; row < batch.count; row++)
            places.add(batch.uri.get(row) ?? "", digests.toString("hex", row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES));
        }
      }
    }
  }
  return images.map(({ image, place }) => {
    if ("sha256" in image) return image.sha256;
    const found = places.of(image);
    if (found.length === 1) return found[0]!;
    throw new SluiceError(
      "E_USAGE",
      `Expected in ${place} an image that was seen here, found "${"uri" in image ? image.uri : image.name}": ${found.length === 0 ? "no row has that uri or file name" : `${counted(found.length, "image")} have that file name`}. ` +
        "Give its sha256, which the index of a version has beside the uri.",
    );
  });
}

const passOver = (): void => undefined;

/** Where the images lie that may be meant: their digests by whole uris, and by the names of their files. What was seen last at a uri stands. */
class ImagePlaces {
  readonly #wanted = new Set<string>();
  readonly #byUri = new Map<string, string>();
  /** Digests by uri, by the file's name with its ending and without */
  readonly #byName = new Map<string, Map<string, string>>();

  constructor(images: readonly ImageNamed[]) {
    for (const image of images) {
      if ("sha256" in image) continue;
      const text = "uri" in image ? image.uri : image.name;
      this.#wanted.add(fileName(text)).add(withoutUpload(fileName(text)));
    }
  }

  add(uri: string, sha256: string): void {
    const name = fileName(uri);
    for (const one of new Set([name, withoutEnding(name)])) {
      if (!this.#wanted.has(one)) continue;
      this.#byUri.set(uri, sha256);
      const known = this.#byName.get(one);
      if (known === undefined) this.#byName.set(one, new Map([[uri, sha256]]));
      else known.set(uri, sha256);
    }
  }

  /** Digests of the images that are named so: none, one, or those that cannot be told apart. */
  of(image: Exclude<ImageNamed, { readonly sha256: string }>): string[] {
    const text = "uri" in image ? image.uri : image.name;
    const whole =
      this.#byUri.get(text) ?? (text.startsWith("/") ? this.#byUri.get(pathToFileURL(text).href) : undefined);
    if (whole !== undefined) return [whole];
    const name = fileName(text);
    const found = this.#byName.get(name) ?? this.#byName.get(withoutUpload(name)) ?? new Map<string, string>();
    const digests = new Set(found.values());
    if (digests.size < 2) return [...digests];
    const end = `/${pathOf(text).replace(/^(\.?\/)+/, "")}`;
    const ending = [...found].filter(([uri]) => withoutEndingOf(pathOf(uri), end).endsWith(end));
    const there = new Set(ending.map(([, sha256]) => sha256));
    return [...(there.size === 0 ? digests : there)];
  }
}

/** The last part of a path. */
function fileName(text: string): string {
  return pathOf(text).split("/").at(-1)!;
}

/** The path of a uri, decoded, with accents as one character; of a tar member its own. */
function pathOf(text: string): string {
  const path = text.startsWith("tar:") ? text.slice(text.indexOf("#") + 1).replace(/@\d+$/, "") : withoutQuery(text);
  const plain = path.replaceAll("\\", "/");
  try {
    return decodeURIComponent(plain).normalize("NFC");
  } catch (error) {
    if (error instanceof URIError) return plain.normalize("NFC");
    throw error;
  }
}

/** The path of what Label Studio reads from a folder of its own is in the query: `/data/local-files/?d=pictures%2F1.jpg`. */
function withoutQuery(text: string): string {
  const [path = "", query = ""] = text.split(/[?](.*)$/s);
  return path.endsWith("/local-files/") ? (new URLSearchParams(query).get("d") ?? path) : path;
}

/** Label Studio puts eight digits and a dash before the name of what is uploaded. */
function withoutUpload(name: string): string {
  return name.replace(/^[0-9a-f]{8}-/, "");
}

function withoutEnding(name: string): string {
  return name.replace(/\.[a-z0-9]{1,5}$/i, "");
}

/** A path, without its file's ending where what it is compared with has none. */
function withoutEndingOf(path: string, end: string): string {
  return withoutEnding(end) === end ? withoutEnding(path) : path;
}
