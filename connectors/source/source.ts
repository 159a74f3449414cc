import type { ImageRecord } from "../../schemas/image-record.js";

export interface SourceItem {
  readonly record: ImageRecord;
  /** Continuing from here repeats nothing up to and including this item. */
  readonly cursor: string;
}

export interface SourceEstimate {
  /** Items in all, as far as known: null while counting would cost as much as reading */
  readonly items: number | null;
}

/**
 * A finite supply of images in a stable order. Items by reference carry a uri that `open` reads.
 * Errors: E_SOURCE_MISSING, E_SOURCE_READ. Implementations: folder, tar.
 */
export interface Source {
  /** Names the source in the log's cursors: equal for the same folder or shards. */
  readonly name: string;
  estimate(): Promise<SourceEstimate>;
  /**
   * Items after `cursor` (null: from the start), which must be that of the last item appended. A source that remembers
   * what it has taken also gives, after the last item of one run, what has been added or changed since.
   */
  items(cursor: string | null): AsyncIterable<SourceItem>;
}

/**
 * Reads an image that a record only refers to. Errors: E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE; E_SOURCE_READ
 * (retryable) where not the image is at fault but this process short of something.
 */
export interface ImageOpener {
  open(uri: string, maxBytes: number): Promise<Uint8Array>;
}
