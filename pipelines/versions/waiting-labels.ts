import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { seenImages } from "../../operators/archive/rows-of-images.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import type { ImageLabel } from "../../schemas/image-label.js";

/** The labels whose images no teacher has a row of: they are kept, and count once their images come. */
export async function waitingLabels(
  store: Store,
  stream: string,
  labels: readonly ImageLabel[],
): Promise<readonly ImageLabel[]> {
  const wanted = new Set(labels.map(({ sha256 }) => sha256));
  for (const teacher of (await readCards(store)).keys()) {
    if (wanted.size === 0) break;
    for (const sha256 of await seenImages(new ArchiveReader(store, { teacher, stream }), wanted)) wanted.delete(sha256);
  }
  return labels.filter(({ sha256 }) => wanted.has(sha256));
}
