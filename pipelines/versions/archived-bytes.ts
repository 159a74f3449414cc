import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { rowsOfImages } from "../../operators/archive/rows-of-images.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { imageBytes } from "../../operators/image/image-bytes.js";
import { packOfRow } from "../../schemas/pack.js";
import { relocatedOpener } from "../open/relocated-opener.js";

/** An image that is asked for: where a row says that it lies, as far as one does. */
export interface ShownImage {
  readonly sha256: string;
  readonly uri: string | null;
  readonly sizeBytes: number;
}

export interface ArchivedBytesOptions {
  readonly store: Store;
  readonly stream: string;
  readonly opener: ImageOpener;
  readonly nowMs: () => number;
}

/**
 * The bytes of images, each once, in no order: from their uri, else from the packs and places that the archive knows. Those whose bytes are nowhere are
 * not given. Throws what the store throws for failed I/O.
 */
export async function* bytesOfImages(
  images: readonly ShownImage[],
  { store, stream, opener: own, nowMs }: ArchivedBytesOptions,
): AsyncGenerator<{ readonly sha256: string; readonly bytes: Uint8Array }, void, undefined> {
  const opener = relocatedOpener(own, { store, nowMs });
  const wanted = new Map(images.map((image) => [image.sha256, image]));
  const found = async function* (asked: readonly Placed[]) {
    const needed = asked.map(({ sha256, ...image }) => ({ ...image, digest: sha256 }));
    for await (const { at, bytes } of imageBytes({ store, opener }).read(needed)) {
      const { digest: sha256 } = needed[at]!;
      if (bytes === null || !wanted.delete(sha256)) continue;
      yield { sha256, bytes };
    }
  };
  yield* found([...wanted.values()].flatMap((one) => (one.uri === null ? [] : [{ ...one, uri: one.uri, pack: null }])));
  for (const teacher of (await readCards(store)).keys()) {
    const places = new Map<string, Placed>();
    for await (const { sha256, chain, batch } of rowsOfImages(
      new ArchiveReader(store, { teacher, stream }),
      wanted.keys(),
    )) {
      const pack = batch.pack.get(0);
      // Of several rows one that was kept
      if (pack === null && places.has(sha256)) continue;
      const [uri, sizeBytes] = [batch.uri.get(0) ?? "", batch.sizeBytes[0]!];
      places.set(sha256, { sha256, uri, sizeBytes, pack: pack === null ? null : packOfRow(pack, chain) });
    }
    yield* found([...places.values()]);
  }
}

interface Placed {
  readonly sha256: string;
  readonly uri: string;
  readonly sizeBytes: number;
  readonly pack: string | null;
}
