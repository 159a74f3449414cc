import type { ImageOpener } from "../../../connectors/source/source.js";
import type { Store } from "../../../connectors/store/store.js";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { rowsOfImages } from "../../../operators/archive/rows-of-images.js";
import { readCards } from "../../../operators/archive/teacher-registry.js";
import { imageBytes } from "../../../operators/image/image-bytes.js";
import { packOfRow } from "../../../schemas/pack.js";
import { relocatedOpener } from "../../open/relocated-opener.js";

/** Where an image was seen, as a row says. */
export interface SeenImage {
  readonly uri: string;
  readonly sizeBytes: number;
  /** Whole name of the pack that kept its bytes; null where none did, or that is not known */
  readonly pack: string | null;
}

/** Places remembered: what walls have shown is asked for next. Some 300 bytes each. */
const REMEMBERED = 200_000;

export interface ImageFinderOptions {
  readonly store: Store;
  readonly opener: ImageOpener;
  readonly stream: string;
  readonly nowMs: () => number;
  /** Whether an image was erased: wherever its bytes lie, they are not handed out */
  readonly isErased: (sha256: string) => Promise<boolean>;
}

/**
 * Finds the bytes of images by their digest, and by nothing else: what is handed out has that SHA-256. Where no row has said
 * before where an image lies, the archive is read for it.
 */
export class ImageFinder {
  readonly #options: ImageFinderOptions;
  readonly #opener: ImageOpener;
  readonly #seen = new Map<string, SeenImage>();

  constructor(options: ImageFinderOptions) {
    this.#options = options;
    this.#opener = relocatedOpener(options.opener, options);
  }

  remember(sha256: string, seen: SeenImage): void {
    this.#seen.delete(sha256);
    this.#seen.set(sha256, seen);
    if (this.#seen.size <= REMEMBERED) return;
    const oldest = this.#seen.keys().next();
    if (oldest.done !== true) this.#seen.delete(oldest.value);
  }

  /** null where the bytes are nowhere any more; `reason` says why. Throws what the store throws for failed I/O. */
  async bytesOf(
    sha256: string,
    signal?: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array | null; readonly reason: string }> {
    if (await this.#options.isErased(sha256)) return { bytes: null, reason: "it was erased" };
    const known = this.#seen.get(sha256);
    if (known !== undefined) {
      const found = await this.#read(sha256, known);
      if (found.bytes !== null || known.pack !== null) return found;
    }
    const seen = await this.#search(sha256, signal);
    if (seen === null) return { bytes: null, reason: "no archived record has this image" };
    return this.#read(sha256, seen);
  }

  async #read(
    digest: string,
    seen: SeenImage,
  ): Promise<{ readonly bytes: Uint8Array | null; readonly reason: string }> {
    const { read, absences } = imageBytes({ store: this.#options.store, opener: this.#opener });
    for await (const { bytes } of read([{ digest, ...seen }])) {
      if (bytes !== null) return { bytes, reason: "" };
    }
    return { bytes: null, reason: absences[0]?.reason ?? "its bytes are nowhere any more" };
  }

  async #search(sha256: string, signal?: AbortSignal): Promise<SeenImage | null> {
    const { store, stream } = this.#options;
    let best: SeenImage | null = null;
    for (const [teacher] of await readCards(store)) {
      const archive = new ArchiveReader(store, { teacher, stream });
      for await (const { chain, batch } of rowsOfImages(archive, [sha256], { signal })) {
        const pack = batch.pack.get(0);
        const found = {
          uri: batch.uri.get(0) ?? "",
          sizeBytes: batch.sizeBytes[0]!,
          pack: pack === null ? null : packOfRow(pack, chain),
        };
        this.remember(sha256, found);
        // Another record of it may have been kept.
        if (pack !== null || !found.uri.startsWith("log://")) return found;
        best = found;
      }
    }
    return best;
  }
}
