import { thumbnail, type Thumbnail } from "../../../connectors/sheet/thumbnail.js";

/** Bytes of pictures held: what is scrolled to and fro is made once. */
const HELD_BYTES = 64 * 2 ** 20;

const held = new Map<string, Thumbnail>();
let heldBytes = 0;

/** An image's small picture; null where it does not decode. The ones asked for last are held. */
export async function thumbnailOf(sha256: string, bytes: Uint8Array, side: number): Promise<Thumbnail | null> {
  const name = `${sha256}/${side}`;
  const known = held.get(name);
  if (known !== undefined) return known;
  const made = await thumbnail(bytes, side);
  if (made === null) return null;
  held.set(name, made);
  heldBytes += made.bytes.length;
  for (const [oldest, one] of held) {
    if (heldBytes <= HELD_BYTES) break;
    held.delete(oldest);
    heldBytes -= one.bytes.length;
  }
  return made;
}
