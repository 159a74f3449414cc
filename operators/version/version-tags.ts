import type { Store } from "../../connectors/store/store.js";
import { keys, tagPlace } from "../../schemas/keys.js";
import { decodeTag, encodeTag } from "../../schemas/version-tag.js";

/** A tag as it stands. */
export interface StandingTag {
  readonly tag: string;
  /** null: it was dropped */
  readonly number: number | null;
  readonly revision: number;
  readonly atMs: number;
}

/** The tags of a dataset, by name, dropped ones too. Throws E_STORE_CORRUPT. */
export async function readTags(store: Store, dataset: string): Promise<StandingTag[]> {
  const highest = new Map<string, number>();
  for await (const { key } of store.list(keys.tags(dataset))) {
    const place = tagPlace(key);
    if (place !== null) highest.set(place.tag, Math.max(place.revision, highest.get(place.tag) ?? 0));
  }
  const tags: StandingTag[] = [];
  for (const [tag, revision] of [...highest].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const key = keys.tag(dataset, tag, revision);
    tags.push({ tag, revision, ...decodeTag(await store.get(key), key) });
  }
  return tags;
}

/** Moves a tag, or drops it: behind all that was said of it before. Returns what stood. */
export async function moveTag(
  store: Store,
  dataset: string,
  tag: string,
  to: { readonly number: number | null; readonly atMs: number },
): Promise<number | null> {
  for (;;) {
    const stands = (await readTags(store, dataset)).find((one) => one.tag === tag);
    if ((stands?.number ?? null) === to.number) return to.number;
    const key = keys.tag(dataset, tag, (stands?.revision ?? 0) + 1);
    if ((await store.putIfAbsent(key, encodeTag(to))) === "created") return stands?.number ?? null;
  }
}
