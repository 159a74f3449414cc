import type { Store } from "../../connectors/store/store.js";
import { STORE_FOLDERS } from "../../schemas/keys.js";

/** What a store takes, by what it is kept for; objects and bytes. */
export interface KeptParts {
  readonly scores: KeptPart;
  readonly packs: KeptPart;
  readonly versions: KeptPart;
  readonly other: KeptPart;
  readonly all: KeptPart;
}

export interface KeptPart {
  readonly objects: number;
  readonly sizeBytes: number;
}

/** Sizes as the store lists them: `scores` the archive, `packs` the bytes of images that may be chosen. */
export async function keptParts(store: Store): Promise<KeptParts> {
  const parts = { scores: none(), packs: none(), versions: none(), other: none(), all: none() };
  for (const folder of STORE_FOLDERS) {
    for await (const { sizeBytes } of store.list(folder)) {
      for (const part of [parts[partOf(folder)], parts.all]) {
        part.objects++;
        part.sizeBytes += sizeBytes;
      }
    }
  }
  return parts;
}

const none = (): { objects: number; sizeBytes: number } => ({ objects: 0, sizeBytes: 0 });

function partOf(folder: (typeof STORE_FOLDERS)[number]): "scores" | "packs" | "versions" | "other" {
  if (folder === "scores/" || folder === "runs/") return "scores";
  return folder === "packs/" ? "packs" : folder === "versions/" ? "versions" : "other";
}
