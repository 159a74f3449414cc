import type { Store } from "../../connectors/store/store.js";
import { STORE_FOLDERS } from "../../schemas/keys.js";

/** How long an answer stands: a store is listed whole for it, ms */
const STANDS_MS = 60_000;

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

/** The same for pages that ask again and again. */
export class KeptBytes {
  readonly #store: Store;
  readonly #nowMs: () => number;
  #held: { readonly atMs: number; readonly parts: Promise<KeptParts> } | null = null;

  constructor(store: Store, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  async parts(): Promise<KeptParts> {
    const atMs = this.#nowMs();
    if (this.#held === null || atMs - this.#held.atMs > STANDS_MS) this.#held = { atMs, parts: keptParts(this.#store) };
    const { parts } = this.#held;
    try {
      return await parts;
    } catch (error) {
      if (this.#held.parts === parts) this.#held = null;
      throw error;
    }
  }
}
