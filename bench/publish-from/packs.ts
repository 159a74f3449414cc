import { open } from "node:fs/promises";
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import type { Store } from "../../connectors/store/store.js";
import { writePack } from "../../operators/pack/pack-objects.js";
import { sha256 } from "../../schemas/canonical.js";
import { keys } from "../../schemas/keys.js";
import { packIndexBytes, packText } from "../../schemas/pack.js";
import { cachedArchive } from "../cache.js";
import { imageOf, type Shape, type Wanted } from "./wild-shards.js";

const CHAIN = { teacher: "ab".repeat(32), stream: "images", partition: 0, origin: 0 };
const ATTEMPT = "a";

/** The images of the shards in packs of the same number, as scorers keep them. */
export interface Packs {
  readonly store: Store;
  readonly shape: Shape;
  /** Whole name of the pack that has an image */
  readonly of: (one: Wanted) => string;
}

export async function packsOf(shape: Shape): Promise<Packs> {
  const folder = await cachedArchive(`publish-from-packs-${Object.values(shape).join("-")}`, (made) =>
    makePacks(made, shape),
  );
  const startOf = ({ shard }: Wanted): number => shard * shape.members;
  const store = await openFilesystemStore(join(folder, "store"));
  return { store, shape, of: (one) => packText({ chain: CHAIN, start: startOf(one), attempt: ATTEMPT }) };
}

async function makePacks(folder: string, { shards, members, imageBytes }: Shape): Promise<void> {
  const store = await openFilesystemStore(join(folder, "store"));
  for (let shard = 0; shard < shards; shard++) {
    const images = Array.from({ length: members }, (_, at) => {
      const bytes = imageOf(shard * members + at, imageBytes);
      return { bytes, digest: sha256(bytes), sizeBytes: bytes.length };
    });
    await writePack(store, keys.scoredPack(CHAIN, shard * members, ATTEMPT), images);
  }
  await store.close();
}

/** Reads the wanted images' bytes where they lie, in that order, and digests them. */
export async function readPacks({ store, shape }: Packs, byPlace: readonly Wanted[]): Promise<void> {
  const { members, imageBytes } = shape;
  let shard = -1;
  let file: Awaited<ReturnType<typeof open>> | null = null;
  for (const one of byPlace) {
    if (one.shard !== shard) {
      await file?.close();
      shard = one.shard;
      file = await open(await store.locate(keys.scoredPack(CHAIN, shard * members, ATTEMPT)), "r");
    }
    const bytes = Buffer.alloc(imageBytes);
    await file!.read(bytes, 0, imageBytes, packIndexBytes(members) + (one.number % members) * imageBytes);
    if (!Buffer.from(one.digest).equals(sha256(bytes))) throw new Error(`image ${one.number} is another`);
  }
  await file?.close();
}
