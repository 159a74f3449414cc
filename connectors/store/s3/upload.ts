import { crc32 } from "node:zlib";
import { SluiceError } from "../../../schemas/errors.js";
import type { WrittenObject } from "../store.js";

/** The requests that an upload is made of, each retried within bounds by the caller. */
export interface UploadRequests {
  /** One atomic PUT of the whole object */
  put(bytes: Buffer): Promise<void>;
  begin(): Promise<string>;
  /** Returns the part's ETag. */
  part(uploadId: string, number: number, bytes: Buffer): Promise<string>;
  complete(uploadId: string, parts: readonly { part: number; etag: string }[], sent: SentObject): Promise<void>;
  /** Never throws: leftover parts are the bucket's lifecycle rules' to clear. */
  abandon(uploadId: string): Promise<void>;
}

/** What was sent of an object, to look at what is stored of it. */
export interface SentObject extends WrittenObject {
  readonly crc32: number;
}

/** S3 takes no more. */
const MOST_PARTS = 10_000;

/** Tells an error of the chunks' source from one of the store. */
class SourceFailure extends Error {}

/**
 * Uploads a stream of unknown length: in one PUT where it fits into one part, else in parts of `partBytes` with at most
 * `width` under way, so that it holds at most (width + 1) × partBytes. Where the source or the store fails, nothing is
 * left at the key and the error is rethrown.
 */
export async function uploadStream(
  requests: UploadRequests,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { partBytes, width, place }: { partBytes: number; width: number; place: string },
): Promise<WrittenObject> {
  let sizeBytes = 0;
  let crc = 0;
  const parts: { part: number; etag: string }[] = [];
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const upload: { id: string | null } = { id: null };
  // Parts that were sent are filled again: left to the collector, they pile up faster than it runs.
  const free: Buffer[] = [];

  const send = async (bytes: Buffer): Promise<void> => {
    const number = parts.length + underWay.size + 1;
    if (number > MOST_PARTS) {
      throw new SluiceError(
        "E_STORE_IO",
        `Expected at most ${MOST_PARTS} parts of ${partBytes} bytes for ${place}, found more. Set a larger \`partBytes\`.`,
      );
    }
    upload.id ??= await requests.begin();
    const sending = requests.part(upload.id, number, bytes).then(
      (etag) => {
        parts.push({ part: number, etag });
      },
      (error: unknown) => {
        failures.push(error);
      },
    );
    const settled = sending.finally(() => {
      underWay.delete(settled);
      free.push(bytes);
    });
    underWay.add(settled);
    if (underWay.size >= width) await Promise.race(underWay);
    if (failures.length > 0) throw failures[0];
  };

  try {
    let last: Buffer = Buffer.alloc(0);
    for await (const part of inParts(passing(chunks), partBytes, free)) {
      crc = crc32(part, crc);
      sizeBytes += part.length;
      if (last.length > 0) await send(last);
      last = part;
    }
    if (upload.id === null) {
      await requests.put(last);
      return { sizeBytes };
    }
    await send(last);
    await Promise.all(underWay);
    if (failures.length > 0) throw failures[0];
    parts.sort((a, b) => a.part - b.part);
    await requests.complete(upload.id, parts, { sizeBytes, crc32: crc });
    return { sizeBytes };
  } catch (error) {
    await Promise.all(underWay);
    if (upload.id !== null) await requests.abandon(upload.id);
    throw error instanceof SourceFailure ? error.cause : error;
  }
}

async function* passing(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw new SourceFailure("the source of a stream failed", { cause: error });
  }
}

/** Copies the chunks into parts of `partBytes`, the last one shorter; a source may use its buffers again. */
async function* inParts(chunks: AsyncIterable<Uint8Array>, partBytes: number, free: Buffer[]): AsyncGenerator<Buffer> {
  let part: Buffer | null = null;
  let filled = 0;
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length;) {
      part ??= free.pop() ?? Buffer.allocUnsafeSlow(partBytes);
      const count = Math.min(chunk.length - taken, partBytes - filled);
      part.set(chunk.subarray(taken, taken + count), filled);
      taken += count;
      filled += count;
      if (filled === partBytes) {
        yield part;
        part = null;
        filled = 0;
      }
    }
  }
  if (part !== null) yield part.subarray(0, filled);
}
