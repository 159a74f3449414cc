import { thumbnail } from "../../connectors/sheet/thumbnail.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { bytesOfImages, type ShownImage } from "./archived-bytes.js";

/** px of a picture's longer side on a page: what one still makes out, at some 3 kB */
const SIDE = 96;

export type { ShownImage };

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
  const pictures = new Map<string, string>();
  for await (const { sha256, bytes } of bytesOfImages(images, options)) {
    const made = await thumbnail(bytes, SIDE);
    if (made !== null) pictures.set(sha256, `data:${made.type};base64,${Buffer.from(made.bytes).toString("base64")}`);
  }
  return pictures;
}
