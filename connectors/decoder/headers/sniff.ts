/** What the first bytes say. The formats on the left are decoded, those on the right only named in the refusal. */
export type Format = "jpeg" | "png" | "gif" | "webp" | "tiff" | "avif" | "bmp";
export type Sniffed =
  { readonly format: Format } | { readonly refused: string; readonly advice: string } | { readonly unknown: true };

/** Enough for every signature here, an XML declaration and a comment included */
const SNIFFED_BYTES = 512;
const CONVERT = "convert it to JPEG or PNG";
const UNPACK = "unpack it";
const EXTRACT = "extract still images from it";
/** Of other kinds: how they begin, what they are, and what to do where that is not to convert them */
const OTHERS: readonly (readonly [RegExp, string, string?])[] = [
  [/^(%!PS|\xc5\xd0\xd3\xc6)/, "PostScript (EPS)"],
  [/^DDS \x7c/, "a texture (DDS)"],
  [/^qoif/, "QOI"],
  [/^\x76\x2f\x31\x01/, "OpenEXR"],
  [/^#\?(RADIANCE|RGBE)/, "Radiance (HDR)"],
  [/^(II\xbc|BPG\xfb|FLIF)/, "JPEG XR, BPG or FLIF"],
  [/^gimp xcf/, "GIMP (XCF)"],
  [/^\x0a[\0-\x05]\x01[\x01\x02\x04\x08]/, "PCX"],
  [/^\x01\xda[\0\x01][\x01\x02]/, "SGI"],
  [/^\x59\xa6\x6a\x95/, "a Sun raster"],
  [/^SIMPLE {2}=/, "FITS"],
  [/^.{128}DICM/s, "DICOM"],
  [/^RIFF.{4}AVI /s, "a film (AVI)", EXTRACT],
  [/^(\x1a\x45\xdf\xa3|FLV\x01|\0\0\x01\xba|OggS)/, "a film", EXTRACT],
  [/^PK\x03\x04/, "a zip archive", UNPACK],
  [/^\x1f\x8b/, "gzip", UNPACK],
  [/^(7z\xbc\xaf|Rar!|\xfd7zXZ|BZh)/, "an archive", UNPACK],
  [/^.{257}ustar/s, "a tar", "give it as a shard, with its name in .tar"],
  [/^\x93NUMPY/, "an array of NumPy", "save it as PNG"],
  [/^\x89HDF/, "HDF5", "save its images as PNG"],
];
const AVIF_BRANDS = new Set(["avif", "avis"]);
const HEIC_BRANDS = new Set(["heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs"]);

/** Names the format by its signature. Never throws. */
export function sniff(bytes: Uint8Array): Sniffed {
  if (starts(bytes, 0xff, 0xd8, 0xff)) return { format: "jpeg" };
  if (starts(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return { format: "png" };
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SNIFFED_BYTES)).toString("latin1");
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a")) return { format: "gif" };
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return { format: "webp" };
  if (/^(II\*\0|MM\0\*|II\+\0|MM\0\+)/.test(text)) return { format: "tiff" };
  if (text.startsWith("BM") && bytes.length >= 6) return sniffBmp(bytes);
  if (starts(bytes, 0xff, 0x0a) || text.startsWith("\0\0\0\x0cJXL ")) {
    return refused("JPEG XL");
  }
  if (text.startsWith("\0\0\0\x0cjP  ") || starts(bytes, 0xff, 0x4f, 0xff, 0x51)) return refused("JPEG 2000");
  if (/^(FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\0|\0MRM|FOVb)/.test(text) || text.slice(4, 12) === "ftypcrx ") {
    return { refused: "camera raw", advice: "develop it to JPEG or PNG" };
  }
  if (text.slice(4, 8) === "ftyp") return sniffIsoMedia(bytes, text);
  if (text.startsWith("8BPS")) return refused("Photoshop (PSD)");
  if (/^(\xef\xbb\xbf)?\s*<(svg|\?xml[^>]*>\s*(<!--.*?-->\s*)*<(svg|!DOCTYPE svg))/is.test(text)) {
    return refused("an SVG drawing");
  }
  if (text.startsWith("%PDF-")) return refused("PDF");
  if (/^(\xef\xbb\xbf)?\s*<(!doctype html|html|head)\b/i.test(text)) {
    return { refused: "a web page", advice: "a download that failed leaves one: fetch the image again" };
  }
  if (/^P[1-7]\s/.test(text)) return refused("Netpbm (PBM, PGM, PPM)");
  if (starts(bytes, 0, 0, 1, 0)) return refused("a Windows icon");
  if (text.startsWith("version https://git-lfs.")) {
    return { refused: "a pointer of Git LFS", advice: "fetch the image itself with `git lfs pull`" };
  }
  const other = OTHERS.find(([start]) => start.test(text));
  return other === undefined ? { unknown: true } : { refused: other[1], advice: other[2] ?? CONVERT };
}

function starts(bytes: Uint8Array, ...signature: readonly number[]): boolean {
  return signature.every((value, at) => bytes[at] === value);
}

function refused(name: string): Sniffed {
  return { refused: name, advice: CONVERT };
}

/** "BM" alone may start a text; a bitmap's info header has one of a few sizes. */
function sniffBmp(bytes: Uint8Array): Sniffed {
  if (bytes.length < 18) return { format: "bmp" };
  const headerSize = bytes[14]! | (bytes[15]! << 8) | (bytes[16]! << 16) | (bytes[17]! << 24);
  return [12, 16, 40, 52, 56, 64, 108, 124].includes(headerSize) ? { format: "bmp" } : { unknown: true };
}

/** An ISO base media file: its major and compatible brands say whether it holds AV1 or HEVC images. */
function sniffIsoMedia(bytes: Uint8Array, text: string): Sniffed {
  const boxSize = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const brands = [text.slice(8, 12)];
  for (let at = 16; at + 4 <= Math.min(boxSize, text.length); at += 4) brands.push(text.slice(at, at + 4));
  if (brands.some((brand) => AVIF_BRANDS.has(brand))) return { format: "avif" };
  if (brands.some((brand) => HEIC_BRANDS.has(brand))) return refused("HEIC (HEVC)");
  if (brands[0] === "mif1" || brands[0] === "msf1") return { format: "avif" };
  return { refused: `ISO media of brand "${brands[0]!.trim()}"`, advice: "extract still images from it" };
}
