import { pathToFileURL } from "node:url";
import type { Store } from "../../connectors/store/store.js";
import { newestManifest, publishedDatasets } from "../../operators/version/manifests.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { readSomeColumns } from "./index-reader.js";

/** An image as a label file names it: by digest, by where it lies, or by its file's name without the ending. */
export type ImageNamed = { readonly sha256: string } | { readonly uri: string } | { readonly name: string };

/**
 * Completes images that are named by where they lie to their digests, from the rows of the newest version of each dataset: by the whole uri or path, else by the
 * file's name where only one image has it (as a labelling tool's upload keeps it). Throws E_USAGE, naming the place, for what is none of them or several.
 */
export async function digestsOfNamed(
  store: Store,
  images: readonly { readonly image: ImageNamed; readonly place: string }[],
): Promise<string[]> {
  if (images.every(({ image }) => "sha256" in image))
    return images.map(({ image }) => (image as { sha256: string }).sha256);
  const [byUri, byName] = [new Map<string, string>(), new Map<string, Set<string>>()];
  const add = (name: string, sha256: string): void => {
    byName.set(name, (byName.get(name) ?? new Set()).add(sha256));
  };
  for (const dataset of await publishedDatasets(store)) {
    const manifest = await newestManifest(store, dataset);
    if (manifest === null) continue;
    for await (const { count, uri, sha256 } of readSomeColumns(store, manifest, ["uri", "sha256"])) {
      for (let row = 0; row < count; row++) {
        byUri.set(uri[row]!, sha256[row]!);
        const name = fileName(uri[row]!);
        add(name, sha256[row]!);
        const bare = withoutEnding(name);
        if (bare !== name) add(bare, sha256[row]!);
      }
    }
  }
  return images.map(({ image, place }) => {
    if ("sha256" in image) return image.sha256;
    const text = "uri" in image ? image.uri : image.name;
    const whole = byUri.get(text) ?? (text.startsWith("/") ? byUri.get(pathToFileURL(text).href) : undefined);
    if (whole !== undefined) return whole;
    const name = fileName(text);
    // Label Studio puts eight digits and a dash before the name of what is uploaded.
    const found = byName.get(name) ?? byName.get(name.replace(/^[0-9a-f]{8}-/, "")) ?? new Set<string>();
    if (found.size === 1) return [...found][0]!;
    throw new SluiceError(
      "E_USAGE",
      `Expected in ${place} an image that a newest version has, found "${text}": ${found.size === 0 ? "no row has that uri or file name" : `${counted(found.size, "image")} have that file name`}. ` +
        "Give its sha256, which the index of a version has beside the uri.",
    );
  });
}

/** The last part of a uri or path, decoded; of a tar member that of its path. */
function fileName(text: string): string {
  const path = text.startsWith("tar:")
    ? text.slice(text.indexOf("#") + 1).replace(/@\d+$/, "")
    : text.replace(/[?].*$/s, "");
  const last = path.split(/[/\\]/).at(-1)!;
  try {
    return decodeURIComponent(last);
  } catch (error) {
    if (error instanceof URIError) return last;
    throw error;
  }
}

function withoutEnding(name: string): string {
  return name.replace(/\.[a-z0-9]{1,5}$/i, "");
}
