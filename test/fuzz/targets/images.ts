import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import sharp from "sharp";
import { exifOrientation } from "../../../connectors/decoder/headers/exif-orientation.js";
import { ByteReader } from "../../../connectors/decoder/headers/byte-reader.js";
import { parseMatrixProfile } from "../../../connectors/decoder/headers/icc-profile.js";
import { isWhole, readImageHeader } from "../../../connectors/decoder/headers/image-header.js";
import { sniff } from "../../../connectors/decoder/headers/sniff.js";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode, refuse } from "../../../operators/image/decode-plan.js";
import { pdq } from "../../../operators/image/pdq.js";
import { decodeSchema } from "../../../schemas/config.js";
import { ROOT } from "../../architecture/repository.js";
import { view } from "../../conformance/decoder.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { mutateBytes, oneOf } from "../mutate.js";

/** As a run has them: they come before decoding */
const LIMITS = decodeSchema.parse({ maxPixels: 4_000_000 });

/** Pictures of every format that is read, small ones: Pillow's goldens, and what libvips writes. */
async function pictures(): Promise<Uint8Array[]> {
  const path = join(ROOT, "test", "fixtures", "pillow", "goldens.json");
  const { blobs } = JSON.parse(readFileSync(path, "utf8")) as { blobs: readonly string[] };
  const goldens = blobs.map((blob) => inflateSync(Buffer.from(blob, "base64"))).filter(({ length }) => length < 50_000);
  const pixels = Uint8Array.from({ length: 40 * 30 * 4 }, (_, at) => (at * 7919) % 251);
  const raw = { raw: { width: 40, height: 30, channels: 4 as const } };
  const formats = ["png", "jpeg", "webp", "gif", "tiff", "avif"] as const;
  const made = formats.map((format) =>
    sharp(pixels, raw)
      .withIccProfile("p3")
      .withExif({ IFD0: { Copyright: "x" } })
      .toFormat(format)
      .toBuffer(),
  );
  return [...goldens, ...(await Promise.all(made)), paletteBmp()];
}

/** An 8-bit BMP with a palette, which libvips does not write */
function paletteBmp(): Uint8Array {
  const bytes = Buffer.alloc(14 + 40 + 1024 + 64 * 64);
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(14 + 40 + 1024, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(64, 18);
  bytes.writeInt32LE(64, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(8, 28);
  return bytes;
}

export const IMAGE_HEADERS: FuzzTarget = {
  name: "image-headers",
  what: "headers, ends, EXIF and colour profiles of pictures, by our own readers",
  extension: "bin",
  prepare: async () => {
    const corpus = await pictures();
    return {
      make: (next) => mutateBytes(next, oneOf(next, corpus), oneOf(next, corpus)),
      run: async (bytes) => {
        // They answer of any bytes; only the header's reader refuses some.
        const sniffed = sniff(bytes);
        if ("format" in sniffed) isWhole(bytes, sniffed.format);
        exifOrientation(new ByteReader(bytes, "exif"), 0, bytes.length);
        parseMatrixProfile(bytes);
        const header = await readImageHeader(bytes);
        if (refuse(header, LIMITS, "picture") !== null) return;
        const { width, height } = header;
        if (!(Number.isSafeInteger(width * height) && width * height > 0))
          throw new RangeError(`a header of ${width} x ${height} pixels was taken`);
      },
    };
  },
};

export const IMAGES: FuzzTarget = {
  name: "images",
  what: "pictures, decoded by libvips, libjpeg-turbo and our own readers, and hashed",
  extension: "bin",
  prepare: async () => {
    const corpus = await pictures();
    const decoders = [openSharpDecoder({ concurrency: 1 }), openSharpDecoder({ concurrency: 1, turbojpeg: "off" })];
    return {
      make: (next) => mutateBytes(next, oneOf(next, corpus), oneOf(next, corpus)),
      run: async (bytes) => {
        for (const decoder of decoders) {
          const header = await decoder.header(bytes);
          if (refuse(header, LIMITS, "picture") !== null) return;
          const plan = planDecode(header, view(16, 24));
          const { pixels } = await decoder.decode(bytes, header, plan, (stored) => {
            pdq(stored, header.orientation);
          });
          if (pixels.length !== 16 * 24 * 3) throw new RangeError(`${pixels.length} bytes of pixels`);
        }
      },
    };
  },
};
