/** Extensions that data sets give to what goes with an image. Their labels are not read: the stream is unlabelled. */
const SIDECARS = new Set(
  (
    "cls cls2 txt text caption json jsonl npy npz pyd pickle pkl pth pt ten tb cbor mp msg msgpack csv tsv xml yaml yml " +
    "id index inx url html md transcript"
  ).split(" "),
);

/** In lower case, without the dot; "" where there is none. */
export function extensionOf(name: string): string {
  return /[^/]\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

export function isSidecar(name: string): boolean {
  return SIDECARS.has(extensionOf(name));
}

const SHARD = /\.(tar|tgz|tar\.gz|tar\.zst|tzst)$/i;

/** Whether a file is a tar shard by its name. */
export function isShardName(name: string): boolean {
  return SHARD.test(name);
}

const IMAGES = new Set("jpg jpeg jpe jfif png webp gif tif tiff avif bmp".split(" "));

/** Whether a file is an image by its name. Others are looked at too: what they are is told by their bytes. */
export function isImageName(name: string): boolean {
  return IMAGES.has(extensionOf(name));
}
