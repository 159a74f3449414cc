import { ErasedImages } from "../../operators/archive/erased-images.js";
import type { Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { decodeLabelSegment, encodeLabelSegment } from "../../schemas/image-label.js";
import { scoredPackPlace, segmentPlace } from "../../schemas/keys.js";
import { changedCheckpoint, isCheckpoint, overwriting, replace, type Bug } from "./bug.js";

/** A store in which objects of some keys cannot be seen. */
const without =
  (hidden: (key: string) => boolean) =>
  (store: Store): Store => {
    const missing = (key: string): never => {
      throw new SluiceError("E_STORE_MISSING", `Expected an object at ${key}, found none.`, { key });
    };
    return {
      ...store,
      get: (key) => (hidden(key) ? Promise.resolve().then(() => missing(key)) : store.get(key)),
      head: (key) => (hidden(key) ? Promise.resolve(null) : store.head(key)),
      async *list(prefix, options) {
        for await (const object of store.list(prefix, options)) if (!hidden(object.key)) yield object;
      },
    };
  };

const isGeneration = (key: string): boolean => /^packs\/.*\/index\//.test(key);

/** The key of the segment that a scorer's pack belongs to. */
function segmentOf(pack: string): string | null {
  const place = scoredPackPlace(pack);
  if (place === null) return null;
  const key = `${pack.replace(/^packs/, "scores").replace(/scored\/.*$/, "")}${String(place.start).padStart(20, "0")}.arrow`;
  return segmentPlace(key) === null ? null : key;
}

/** Bugs of what frees bytes that nobody needs, and of what erases images. */
export const UPKEEP_BUGS: readonly Bug[] = [
  {
    name: "collector-does-not-wait-for-pins",
    what: "a collector deletes what it dropped although a scorer that pinned it may be about to name it",
    collectorStore: without((key) => key.startsWith("pins/")),
  },
  {
    name: "collector-forgets-versions",
    likelySeed: 218,
    what: "a collector does not look at what versions need",
    collectorStore: without((key) => key.startsWith("versions/")),
  },
  {
    name: "collector-forgets-labels",
    what: "a collector does not look at what was labelled",
    collectorStore: without((key) => key.startsWith("labels/")),
  },
  {
    name: "collector-forgets-newest-pane",
    likelySeed: 213,
    what: "a collector does not look at what the newest pane of a checkpoint needs",
    collectorStore: (store) => ({
      ...store,
      get: async (key) => {
        const bytes = await store.get(key);
        if (!isCheckpoint(key)) return bytes;
        try {
          return changedCheckpoint(bytes, ({ panes }) => panes.pop());
        } catch (error) {
          // One that was cut short on purpose
          if (error instanceof SyntaxError) return bytes;
          throw error;
        }
      },
    }),
  },
  {
    name: "collector-takes-new-packs-for-orphans",
    likelySeed: 282,
    what: "a collector deletes a pack whose segment is not written yet",
    collectorStore: (store) => ({
      ...store,
      async *list(prefix, options) {
        for await (const object of store.list(prefix, options)) {
          const segment = segmentOf(object.key);
          yield object;
          if (segment !== null && (await store.head(segment)) === null) await store.delete(object.key);
        }
      },
    }),
  },
  {
    name: "collector-deletes-where-packs-lie",
    likelySeed: 226,
    what: "a collector deletes the generation before the one that it has written, so that its number is free again",
    collectorStore: (store) => ({
      ...store,
      putIfAbsent: async (key, bytes) => {
        const outcome = await store.putIfAbsent(key, bytes);
        const [, folder, number] = /^(packs\/.*\/index\/\d+-)(\d{6})\.json$/.exec(key) ?? [];
        if (folder !== undefined && Number(number) > 1)
          await store.delete(`${folder}${String(Number(number) - 1).padStart(6, "0")}.json`);
        return outcome;
      },
    }),
  },
  {
    name: "generation-replaced",
    likelySeed: 282,
    what: "where the members of packs lie is put, not created only if absent",
    store: overwriting(isGeneration),
  },
  {
    name: "erasure-leaves-written-packs",
    likelySeed: 279,
    what: "an erasure looks at packs as scorers wrote them, and not at the newest generation's",
    eraserStore: (store) => ({
      ...store,
      async *list(prefix, options) {
        for await (const object of store.list(prefix, options)) if (!object.key.includes("/written/")) yield object;
      },
    }),
  },
  {
    name: "erasure-is-not-gone-on-with",
    likelySeed: 411,
    what: "an erasure does not look at what was recorded before, so that one that was killed never ends",
    eraserStore: (store) => ({
      ...store,
      get: async (key) => {
        const bytes = await store.get(key);
        if (!key.startsWith("labels/")) return bytes;
        const segment = decodeLabelSegment(bytes, key);
        return encodeLabelSegment({
          ...segment,
          labels: segment.labels.map((one) =>
            one.verdict === "erased" ? { verdict: "none", sha256: one.sha256, timeMs: one.timeMs, by: null } : one,
          ),
        });
      },
    }),
  },
  {
    name: "erased-from-the-index-first",
    what: "an erasure writes a version's index anew before its shards, so that one that was killed looks done",
    eraserStore: (store) => {
      const held: { readonly key: string; readonly bytes: Uint8Array }[] = [];
      const write = async (): Promise<void> => {
        for (const { key, bytes } of held.splice(0)) await store.putStream(key, [bytes]);
      };
      return {
        ...store,
        putStream: async (key, chunks) => {
          if (!/^versions\/.*\.tar$/.test(key)) {
            const written = await store.putStream(key, chunks);
            if (/^versions\/.*\.parquet$/.test(key)) await write();
            return written;
          }
          const parts: Uint8Array[] = [];
          for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
          held.push({ key, bytes: Buffer.concat(parts) });
          return { sizeBytes: 0, sha256: "" };
        },
      };
    },
  },
  {
    name: "erasure-leaves-attempts",
    what: "an erasure leaves what attempts to publish have left behind",
    eraserStore: (store) => ({
      ...store,
      delete: (key) => (/^versions\/[^/]+\/data\//.test(key) ? Promise.resolve() : store.delete(key)),
    }),
  },
  {
    name: "erased-image-kept-again",
    likelySeed: 754,
    what: "scorers do not look whether an image was erased",
    install: () => replace(ErasedImages.prototype, "has", () => ({ value: () => false })),
  },
];
