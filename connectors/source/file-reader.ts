import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { SluiceError } from "../../schemas/errors.js";
import { fsPath, type BytePath } from "./byte-path.js";
import { OPEN_FLAGS, openFile, refusal, unfit, type Part } from "./open-file.js";

/** Larger files are read beside the caller's own work: there one more turn costs little. */
const AT_ONCE_BYTES = 256 * 1024;
/** A file that took longer was not in memory, or lies on another machine, ms */
const SLOW_MS = 2;
/** After a slow file so many are read without holding up the caller; twice as many after each that is slow again, up to the most */
const FIRST_LEFT = 16;
const MOST_LEFT = 4096;

/**
 * Reads files, small ones at once: four turns through libuv's threads cost 65 µs of processor time a file, reading it on the spot costs 10. Where files
 * come slowly, almost all are read in those threads, several at a time.
 */
export class FileReader {
  readonly #nowMs: () => number;
  /** Files that are still to be read in threads before one is tried at once */
  #left = 0;
  #slow = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** A file, or a part of it. Errors: those of `openFile`. */
  async open(path: BytePath, uri: string, maxBytes: number, part?: Part): Promise<Uint8Array> {
    if (this.#left > 0) {
      this.#left--;
      return openFile(path, uri, maxBytes, part);
    }
    const fromMs = this.#nowMs();
    const bytes = readAtOnce(path, uri, maxBytes, part);
    this.#pace(this.#nowMs() - fromMs);
    return bytes ?? openFile(path, uri, maxBytes, part);
  }

  #pace(tookMs: number): void {
    this.#slow = tookMs < SLOW_MS ? 0 : this.#slow + 1;
    if (this.#slow > 0) this.#left = Math.min(FIRST_LEFT * 2 ** (this.#slow - 1), MOST_LEFT);
  }
}

/** null: it is large. */
function readAtOnce(path: BytePath, uri: string, maxBytes: number, part: Part | undefined): Uint8Array | null {
  let file: number | null = null;
  try {
    file = openSync(fsPath(path), OPEN_FLAGS);
    const stats = fstatSync(file);
    const wrong = unfit(stats, uri, part === undefined ? maxBytes : Infinity);
    if (wrong !== null) throw wrong;
    const sizeBytes = part?.sizeBytes ?? stats.size;
    if (sizeBytes > AT_ONCE_BYTES) return null;
    const bytes = Buffer.allocUnsafeSlow(sizeBytes);
    const start = part?.offset ?? 0;
    let at = 0;
    while (at < sizeBytes) {
      const count = readSync(file, bytes, at, sizeBytes - at, start + at);
      if (count === 0) return bytes.subarray(0, at);
      at += count;
    }
    return bytes;
  } catch (error) {
    throw error instanceof SluiceError ? error : refusal(error as NodeJS.ErrnoException, uri);
  } finally {
    if (file !== null) closeSync(file);
  }
}
