import { randomUUID } from "node:crypto";
import { open, statfs, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SluiceError } from "../../../schemas/errors.js";
import { storeError } from "./file-errors.js";
import type { Scratch } from "../store.js";

const WHAT = "a temporary file";

/** A scratch file in a folder. Throws E_STORE_FULL, E_STORE_READONLY, E_STORE_IO. */
export async function openScratch(folder: string): Promise<Scratch> {
  const path = join(folder, `sluice-${randomUUID()}`);
  try {
    return await scratchIn({ path, handle: await open(path, "wx+", 0o600) });
  } catch (error) {
    throw storeError(error, "write", WHAT, folder);
  }
}

/** Takes the file over, and its name away at once: the system frees its bytes however this process ends. */
export async function scratchIn({ path, handle }: { path: string; handle: FileHandle }): Promise<Scratch> {
  const folder = dirname(path);
  try {
    await unlink(path);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async write(bytes, at) {
      try {
        for (let written = 0; written < bytes.length;) {
          const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, at + written);
          written += bytesWritten;
        }
      } catch (error) {
        throw storeError(error, "write", WHAT, folder);
      }
    },
    async read(at, sizeBytes) {
      const bytes = Buffer.allocUnsafeSlow(sizeBytes);
      try {
        for (let filled = 0; filled < sizeBytes;) {
          const { bytesRead } = await handle.read(bytes, filled, sizeBytes - filled, at + filled);
          if (bytesRead === 0) {
            const found = `Expected ${sizeBytes} bytes at ${at} of a temporary file in ${folder}, found ${filled}.`;
            throw new SluiceError("E_STORE_IO", `${found} Look at its disk, then run again.`, { retryable: true });
          }
          filled += bytesRead;
        }
      } catch (error) {
        throw storeError(error, "read", WHAT, folder);
      }
      return bytes;
    },
    async freeBytes() {
      try {
        const { bavail, bsize } = await statfs(folder);
        return bavail * bsize;
      } catch (error) {
        throw storeError(error, "read", WHAT, folder);
      }
    },
    close: () => handle.close(),
  };
}
