import { close, constants, fstat, open, read, type Stats } from "node:fs";
import { countText, counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { fsPath, type BytePath } from "./byte-path.js";

/** Bytes [offset, offset + sizeBytes) of a file */
export interface Part {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Opening never blocks: a pipe without a writer gives its descriptor at once, and is refused for what it is. */
export const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

// Callbacks, not promises: see docs/decisions/005-decoding.md for the figures.
/**
 * Reads a file, or a part of it, in libuv's threads. Nothing is read before its size is known to be within the limit.
 * Errors: E_IMAGE_VANISHED, E_IMAGE_UNREADABLE, E_IMAGE_SIZE, E_SOURCE_READ.
 */
export function openFile(path: BytePath, uri: string, maxBytes: number, part?: Part): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    open(fsPath(path), OPEN_FLAGS, (openError, file) => {
      if (openError !== null) {
        reject(refusal(openError, uri));
        return;
      }
      const finish = (error: Error | null, bytes?: Uint8Array): void => {
        close(file, () => {
          if (error !== null) reject(error);
          else resolve(bytes!);
        });
      };
      fstat(file, (statError, stats) => {
        if (statError !== null) {
          finish(refusal(statError, uri));
          return;
        }
        const wrong = unfit(stats, uri, part === undefined ? maxBytes : Infinity);
        if (wrong !== null) {
          finish(wrong);
          return;
        }
        const bytes = Buffer.allocUnsafeSlow(part?.sizeBytes ?? stats.size);
        const start = part?.offset ?? 0;
        const more = (at: number): void => {
          if (at === bytes.length) {
            finish(null, bytes);
            return;
          }
          read(file, bytes, at, bytes.length - at, start + at, (readError, count) => {
            if (readError !== null) finish(refusal(readError, uri));
            // Cut short since its size was asked: what is there is what is decoded, and refused as truncated.
            else if (count === 0) finish(null, bytes.subarray(0, at));
            else more(at + count);
          });
        };
        more(0);
      });
    });
  });
}

/** Why what was opened is no image file of at most `maxBytes`; null where it is one. */
export function unfit(stats: Stats, uri: string, maxBytes: number): SluiceError | null {
  if (stats.isDirectory()) {
    return new SluiceError(
      "E_IMAGE_UNREADABLE",
      `Expected an image file, found a folder: ${uri}. If it could not be listed, mend its permissions and run \`sluice ingest\` again: its files are then taken in.`,
    );
  }
  if (!stats.isFile()) {
    return new SluiceError(
      "E_IMAGE_UNREADABLE",
      `Expected a regular file, found a pipe, socket or device: ${uri}. Copy the image to a file.`,
    );
  }
  return stats.size > maxBytes ? tooLarge(uri, stats.size, maxBytes) : null;
}

export function tooLarge(uri: string, sizeBytes: number, maxBytes: number): SluiceError {
  return new SluiceError(
    "E_IMAGE_SIZE",
    `Expected at most ${counted(maxBytes, "byte")}, found ${countText(sizeBytes)}: ${uri}. To accept it set decode.maxBytes: ${sizeBytes}, then \`sluice quarantine retry\`.`,
  );
}

const GONE = new Set(["ENOENT", "ENOTDIR"]);
const SHORT_OF = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

/** Turns a failure of the file system into what it says about the image. */
export function refusal(error: NodeJS.ErrnoException, uri: string): SluiceError {
  const code = error.code ?? "unknown error";
  if (GONE.has(code)) {
    return new SluiceError(
      "E_IMAGE_VANISHED",
      `Expected the image that was listed, found nothing: ${uri}. Put it back, then \`sluice quarantine retry\`.`,
      { cause: error },
    );
  }
  if (SHORT_OF.has(code)) {
    return new SluiceError(
      "E_SOURCE_READ",
      `Expected to open ${uri}, but this process is short of resources (${code}). Raise its limits (\`ulimit -n\`) or lower decode.concurrency.`,
      { cause: error, retryable: true },
    );
  }
  return new SluiceError(
    "E_IMAGE_UNREADABLE",
    `Expected a readable file, found ${code}: ${uri}. Mend its permissions or the disk, then \`sluice quarantine retry\`.`,
    { cause: error },
  );
}
