import { createHash } from "node:crypto";
import { orNull } from "../../schemas/errors.js";

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/** Bytes [start, end) of an object, as far as they exist. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface ListOptions {
  /** Only keys behind this one; it need not be there, nor start with the prefix */
  readonly after?: string | undefined;
}

export interface WrittenObject {
  readonly sizeBytes: number;
}

export interface HashedObject extends WrittenObject {
  /** hexadecimal */
  readonly sha256: string;
}

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Room for bytes that nobody needs after `close`, or after this process. Throws E_STORE_FULL, E_STORE_READONLY, E_STORE_IO. */
export interface Scratch {
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Bytes that were written; E_STORE_IO where there are fewer */
  read(at: number, sizeBytes: number): Promise<Uint8Array>;
  /** What may still be written, about */
  freeBytes(): Promise<number>;
  close(): Promise<void>;
}

/**
 * An object store. Keys are `/`-separated segments of [A-Za-z0-9._=-]. A write is durable and whole when it returns,
 * or did not happen. Errors: E_STORE_IO (retryable), E_STORE_FULL, E_STORE_READONLY, E_STORE_MISSING.
 * Implementations: filesystem, minio.
 */
export interface Store {
  /** Where it is, for people: a path or a URL. */
  readonly place: string;
  /** Atomic: of any number of writers exactly one gets `created`. The commit points go through here. */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists">;
  /** Replaces what was there, atomically. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Writes a stream of unknown length to a key that no other writer uses. An iterator that throws leaves no object. */
  putStream(key: string, chunks: Chunks): Promise<WrittenObject>;
  /** Throws E_STORE_MISSING. */
  get(key: string): Promise<Uint8Array>;
  /**
   * The same into memory of the caller's, which reads many objects one after the other: `room` is asked for exactly
   * as many bytes as the object has, or as `range` has of it. Absent where a store cannot read without memory of its own.
   */
  getInto?(key: string, room: (sizeBytes: number) => Uint8Array, range?: ByteRange): Promise<Uint8Array>;
  /** Bytes [start, end) as far as they exist. Throws E_STORE_MISSING. */
  getRange(key: string, start: number, end: number): Promise<Uint8Array>;
  getStream(key: string): AsyncIterable<Uint8Array>;
  head(key: string): Promise<StoredObject | null>;
  /** Every object whose key starts with `prefix`, in ascending order of the key's code units. */
  list(prefix: string, options?: ListOptions): AsyncIterable<StoredObject>;
  /** Deleting what is absent is no error. */
  delete(key: string): Promise<void>;
  /** A path or URL that another program can open for a while (shards in a training job). */
  locate(key: string): Promise<string>;
  /** A file of this machine, near the store where that is a folder. Absent where a store is in memory. */
  scratch?(): Promise<Scratch>;
  /** What becomes of objects that are deleted or replaced. Absent where they are gone. */
  keepsOld?(): Promise<"no" | "versions" | "locked">;
  /** Removes what is kept of objects under these prefixes that were deleted or replaced. Throws E_STORE_ACCESS where it is locked. */
  purgeOld?(prefixes: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

/** An object's bytes; null where there is none. */
export function getIfThere(store: Pick<Store, "get">, key: string): Promise<Uint8Array | null> {
  return orNull(store.get(key), "E_STORE_MISSING");
}

/** `putStream` of what is known by its digest later. */
export async function putHashed(store: Pick<Store, "putStream">, key: string, chunks: Chunks): Promise<HashedObject> {
  const hash = createHash("sha256");
  const hashing = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const { sizeBytes } = await store.putStream(key, hashing());
  return { sizeBytes, sha256: hash.digest("hex") };
}
