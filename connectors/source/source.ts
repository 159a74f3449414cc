import type { SluiceError } from "../../schemas/errors.js";
import type { ImageRecord } from "../../schemas/image-record.js";
import type { SourceAccount } from "../../schemas/source-account.js";

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
 * Errors: E_SOURCE_MISSING, E_SOURCE_READ, E_SOURCE_EMPTY. Implementations: folder, tar, bucket.
 */
export interface Source {
  /** Names the source in the log's cursors: equal for the same folder, shards, or place in a bucket. */
  readonly name: string;
  estimate(): Promise<SourceEstimate>;
  /** What `items` has found in its last pass so far, and what became of it */
  account(): SourceAccount;
  /**
   * Items after `cursor` (null: from the start), which must be that of the last item appended. A source that remembers
   * what it has taken also gives, after the last item of one run, what has been added or changed since.
   */
  items(cursor: string | null): AsyncIterable<SourceItem>;
}

/**
 * Reads an image that a record only refers to. Errors: E_IMAGE_REFUSED, E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE; E_SOURCE_READ
 * (retryable) where not the image is at fault but this process short of something.
 */
export interface ImageOpener {
  open(uri: string, maxBytes: number): Promise<Uint8Array>;
  /**
   * Opens many, each once, in the order in which they lie rather than that in which they are asked for: what holds several is read
   * once, from the first to the last of them. The caller takes each before the next is read, a bounded number of bytes apart.
   * What has moved is not looked for: see `elsewhere`. Throws E_SOURCE_READ.
   */
  openMany(asked: readonly AskedImage[]): AsyncIterable<OpenedImage>;
  /** Whether this opener looks at a uri's place at all, as far as the uri tells; an opener that does not say looks at every one. */
  reaches?(uri: string): boolean;
  /** Uris where the same may lie now, the likeliest first; where nothing is known to have moved there are none. */
  elsewhere?(uri: string): Promise<readonly string[]>;
}

/** An image that is asked for. */
export interface AskedImage {
  readonly uri: string;
  /** How many bytes it had when it was seen there: more than that are E_IMAGE_SIZE */
  readonly sizeBytes: number;
}

export interface OpenedImage {
  /** Which one of those asked for, from 0 */
  readonly at: number;
  /** E_IMAGE_… of one that cannot be had */
  readonly image: Uint8Array | SluiceError;
}

/** An object as its bucket lists it. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** ms since the epoch, UTC */
  readonly modifiedMs: number;
  /** Without its quotes; "" where the server gives none */
  readonly etag: string;
}

/**
 * Buckets that hold images, in the object store that the configuration names. Failures that may pass are tried again within
 * bounds. Errors: E_SOURCE_READ, retryable where the server is away or busy.
 */
export interface ImageBuckets {
  /** Whether the bucket has any object whose key starts with `prefix`. Throws E_SOURCE_MISSING where there is no such bucket. */
  hasAny(bucket: string, prefix: string): Promise<boolean>;
  /**
   * The objects whose key starts with `prefix` and sorts after `after` ("": all), a page at a time, ascending by the
   * keys' UTF-8 bytes. Throws E_SOURCE_MISSING where there is no such bucket.
   */
  pages(bucket: string, prefix: string, after: string): AsyncIterable<readonly ListedObject[]>;
  /**
   * An object's bytes, in the memory that `room` gives for that many; what `room` throws is thrown before any of them is
   * read. Throws E_IMAGE_VANISHED, E_IMAGE_UNREADABLE.
   */
  read(bucket: string, key: string, room: (sizeBytes: number) => Uint8Array): Promise<Uint8Array>;
}
