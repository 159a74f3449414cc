import type { Store } from "../../connectors/store/store.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { DigestSet } from "../../operators/topk/digest-set.js";
import { sha256 } from "../../schemas/canonical.js";
import { uniqueName, type ClassNames } from "../../schemas/class-names.js";
import type { Selection } from "../../schemas/dataset.js";
import type { Manifest } from "../../schemas/manifest.js";
import { readIndexColumns } from "../versions/index-reader.js";

/**
 * What each class of a selection is known by to another one: `byNumber`, under the same teacher, the outputs that it stands for, else
 * its name. [L]
 */
export function classKeys(select: Selection, teacher: ClassNames, byNumber: boolean): string[] {
  const { labels, members } = selectedClasses(select, teacher);
  return labels.map((_, index) => (byNumber ? members[index]!.join(",") : uniqueName(labels, index)));
}

/** The rows of a version, to ask whether it has one. */
export interface VersionRows {
  /** Of a class by its key, see `classKeys`: whether it has the image whose digest's first 16 bytes are at `at` */
  of(key: string): (digests: Uint8Array, at: number) => boolean;
}

/**
 * Reads a version's index: 21 to 32 bytes a row. One set holds all classes, each row under its digest mixed with its class's key, so that
 * rows of several classes differ.
 */
export async function versionRows(store: Store, manifest: Manifest, byNumber: boolean): Promise<VersionRows> {
  const keys = classKeys(manifest.select, manifest.teacher, byNumber);
  const rows = new DigestSet();
  const mixers = new Map<string, (digests: Uint8Array, at: number) => Uint8Array>();
  const mixerOf = (key: string) => {
    let mixer = mixers.get(key);
    if (mixer === undefined) mixers.set(key, (mixer = mixerFor(key)));
    return mixer;
  };
  for await (const columns of readIndexColumns(store, manifest)) {
    for (let row = 0; row < columns.count; row++) {
      rows.add(mixerOf(keys[columns.class[row]!]!)(Buffer.from(columns.sha256[row]!, "hex"), 0), 0);
    }
  }
  return {
    of: (key) => {
      const mix = mixerOf(key);
      return (digests, at) => rows.has(mix(digests, at), 0);
    },
  };
}

function mixerFor(key: string): (digests: Uint8Array, at: number) => Uint8Array {
  const mask = sha256(Buffer.from(key));
  const mixed = new Uint8Array(16);
  return (digests, at) => {
    for (let byte = 0; byte < 16; byte++) mixed[byte] = digests[at + byte]! ^ mask[byte]!;
    return mixed;
  };
}
