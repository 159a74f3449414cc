import { thumbnail } from "../../connectors/sheet/thumbnail.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { rowsOfImages } from "../../operators/archive/rows-of-images.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { imageBytes } from "../../operators/image/image-bytes.js";
import { packOfRow } from "../../schemas/pack.js";
import { relocatedOpener } from "../open/relocated-opener.js";

/** px of a picture's longer side on a page: what one still makes out, at some 3 kB */
const SIDE = 96;

/** An image that is to be shown: where its row says that it lies. */
export interface ShownImage {
  readonly sha256: string;
  readonly uri: string;
  readonly sizeBytes: number;
}

export interface PictureOptions {
  readonly store: Store;
  readonly stream: string;
  readonly opener: ImageOpener;
  readonly nowMs: () => number;
}

/**
 * Small pictures as `data:` addresses, by digest: from the uri, else from the packs and places that the archive knows. Those whose bytes are
 * nowhere, or do not decode, are not in it. Throws what the store throws for failed I/O.
 */
export async function picturesOf(
  images: readonly ShownImage[],
  options: PictureOptions,
): Promise<ReadonlyMap<string, string>> {
  const { store, stream } = options;
  const opener = relocatedOpener(options.opener, options);
  const wanted = [...new Map(images.map((image) => [image.sha256, image])).values()];
  const pictures = new Map<string, string>();
  const take = async (asked: readonly (ShownImage & { readonly pack: string | null })[]): Promise<void> => {
    const needed = asked.map(({ sha256, ...image }) => ({ ...image, digest: sha256 }));
    for await (const { at, bytes } of imageBytes({ store, opener }).read(needed)) {
      const made = bytes === null ? null : await thumbnail(bytes, SIDE);
      if (made === null) continue;
      pictures.set(needed[at]!.digest, `data:${made.type};base64,${Buffer.from(made.bytes).toString("base64")}`);
    }
  };
  await take(wanted.map((image) => ({ ...image, pack: null })));
  for (const teacher of (await readCards(store)).keys()) {
    const missing = wanted.filter(({ sha256 }) => !pictures.has(sha256)).map(({ sha256 }) => sha256);
    if (missing.length === 0) break;
    const places = new Map<string, ShownImage & { readonly pack: string | null }>();
    for await (const { sha256, chain, batch } of rowsOfImages(new ArchiveReader(store, { teacher, stream }), missing)) {
      const pack = batch.pack.get(0);
      if (pack === null && places.has(sha256)) continue;
      const uri = batch.uri.get(0) ?? "";
      places.set(sha256, {
        sha256,
        uri,
        sizeBytes: batch.sizeBytes[0]!,
        pack: pack === null ? null : packOfRow(pack, chain),
      });
    }
    await take([...places.values()]);
  }
  return pictures;
}
