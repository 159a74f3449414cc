import type { Store } from "../connectors/store/store.js";
import { DigestSet } from "../operators/pure/digest-set.js";
import { sha256 } from "../schemas/canonical.js";
import type { Manifest } from "../schemas/manifest.js";
import { readIndexColumns } from "./index-reader.js";

/** The rows of a version, to ask whether it has one. */
export interface VersionRows {
  /** Of the class of that label: whether it has the image whose digest's first 16 bytes are at `at` */
  of(label: string): (digests: Uint8Array, at: number) => boolean;
}

/**
 * Reads a version's index: 21 to 32 bytes a row. One set holds all classes, each row under its digest mixed with its label's, so that
 * rows of several classes differ.
 */
export async function versionRows(store: Store, manifest: Manifest): Promise<VersionRows> {
  const rows = new DigestSet();
  const mixers = new Map<string, (digests: Uint8Array, at: number) => Uint8Array>();
  const mixerOf = (label: string) => {
    let mixer = mixers.get(label);
    if (mixer === undefined) mixers.set(label, (mixer = mixerFor(label)));
    return mixer;
  };
  for await (const columns of readIndexColumns(store, manifest)) {
    for (let row = 0; row < columns.count; row++) {
      rows.add(mixerOf(columns.label[row]!)(Buffer.from(columns.sha256[row]!, "hex"), 0), 0);
    }
  }
  return {
    of: (label) => {
      const mix = mixerOf(label);
      return (digests, at) => rows.has(mix(digests, at), 0);
    },
  };
}

function mixerFor(label: string): (digests: Uint8Array, at: number) => Uint8Array {
  const mask = sha256(Buffer.from(label));
  const mixed = new Uint8Array(16);
  return (digests, at) => {
    for (let byte = 0; byte < 16; byte++) mixed[byte] = digests[at + byte]! ^ mask[byte]!;
    return mixed;
  };
}
