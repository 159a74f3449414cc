import { createHash } from "node:crypto";
import type { EmbeddedTable } from "../../connectors/log/embedded/embedded-table.js";

/** What became of the image that was sent under a key. */
export interface SentPlace {
  readonly partition: number;
  readonly offset: number;
  /** See `contentOf` */
  readonly content: Uint8Array;
}

const CONTENT_BYTES = 16;

/** Keys are of any length; their digests stand for them. The same key in another stream, or another log, is another one. */
export function keyDigest(scope: string, key: string): Uint8Array {
  return createHash("sha256").update(`${scope}\0${key}`).digest();
}

/** What is remembered of a key; null: nothing. */
export function sentUnder(keys: Pick<EmbeddedTable, "get">, key: Uint8Array): SentPlace | null {
  const bytes = keys.get(key);
  return bytes === undefined ? null : decodeSentPlace(bytes);
}

export function encodeSentPlace({ partition, offset, content }: SentPlace): Uint8Array {
  const bytes = Buffer.alloc(CONTENT_BYTES + 12);
  bytes.set(content);
  bytes.writeUInt32LE(partition, CONTENT_BYTES);
  bytes.writeDoubleLE(offset, CONTENT_BYTES + 4);
  return bytes;
}

function decodeSentPlace(bytes: Uint8Array): SentPlace {
  const buffer = Buffer.from(bytes);
  return {
    content: buffer.subarray(0, CONTENT_BYTES),
    partition: buffer.readUInt32LE(CONTENT_BYTES),
    offset: buffer.readDoubleLE(CONTENT_BYTES + 4),
  };
}
