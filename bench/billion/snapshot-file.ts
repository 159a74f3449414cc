import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import type { TopkState } from "../../operators/topk/topk.js";

const READ_BYTES = 4 * 1024 * 1024;

/** Writes a snapshot and waits until it is on disk. Returns its digest, which is its last chunk, in hexadecimal. */
export function writeSnapshot(state: TopkState, path: string): string {
  const descriptor = openSync(path, "w");
  let digest = "";
  for (const chunk of state.snapshotChunks()) {
    for (let at = 0; at < chunk.length;) at += writeSync(descriptor, chunk, at);
    digest = Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(32, chunk.length)).toString("hex");
  }
  fsyncSync(descriptor);
  closeSync(descriptor);
  return digest;
}

/** Pushes a file's bytes into a reader. */
export function pushFile(path: string, push: (chunk: Uint8Array) => void): void {
  const descriptor = openSync(path, "r");
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const length = readSync(descriptor, buffer);
    if (length === 0) break;
    push(buffer.subarray(0, length));
  }
  closeSync(descriptor);
}
