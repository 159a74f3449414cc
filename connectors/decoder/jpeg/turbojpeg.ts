import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** libjpeg-turbo, called without a binding of its own. */
export interface Turbojpeg {
  /** Where it comes from, with its version */
  readonly name: string;
  /** A decoder for one image at a time. Holds native memory until the process ends: keep it and use it again. `ownThread`: it decodes in the caller's thread. */
  open(ownThread: boolean): JpegDecoder;
}

export interface JpegDecoder {
  /** What the header says; null where libjpeg-turbo finds fault with it. */
  header(bytes: Uint8Array): JpegFrame | null;
  /**
   * Decodes a part of the image whose header was just read, at 1, 1/2, 1/4 or 1/8 of its size (rounded up), into RGB: u8,
   * [region.height x region.width x 3]. Runs in a thread of libuv's pool, unless the caller's is its own; `bytes` and `into` must not change meanwhile. False where
   * anything at all was wrong with the file: `into` holds part of a picture then.
   */
  decode(bytes: Uint8Array, shrink: Shrink, region: JpegRegion, into: Uint8Array): Promise<boolean>;
}

export type Shrink = 1 | 2 | 4 | 8;

/** px at the size at which the image is loaded. `left` is a multiple of `BLOCK_COLUMNS / shrink`. */
export interface JpegRegion {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Columns of the widest block that any subsampling of colours makes. Parts begin at blocks. */
export const BLOCK_COLUMNS = 32;

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly bitsPerChannel: number;
  readonly colours: "rgb" | "ycc" | "grey" | "other";
  /** Whether it is coded as nearly all are: in Huffman codes, and with loss */
  readonly isUsual: boolean;
}

/** Constants of turbojpeg.h, 3.1 */
const TJINIT_DECOMPRESS = 1;
const TJPF_RGB = 0;
const TJPARAM = {
  stopOnWarning: 0,
  width: 5,
  height: 6,
  precision: 7,
  colours: 8,
  scanLimit: 13,
  arithmetic: 14,
  lossless: 15,
};
const TJCS: readonly JpegFrame["colours"][] = ["rgb", "ycc", "grey"];
/** As many as libvips allows: files of a thousand scans exist to keep decoders busy. */
const MOST_SCANS = 100;

let loaded: Turbojpeg | null | undefined;

/**
 * The libjpeg-turbo of this machine, or null where there is none: it comes as an optional package, with a shared library for Linux.
 * The package's own binding decodes by the fast integer transform, whose pixels are only 46 dB like everyone else's; so its library
 * is called directly, with the accurate one.
 */
export function turbojpeg(): Turbojpeg | null {
  if (loaded === undefined) loaded = process.platform === "linux" ? load() : null;
  return loaded;
}

function load(): Turbojpeg | null {
  const require = createRequire(import.meta.url);
  try {
    const koffi = require("koffi") as typeof import("koffi");
    const manifest = require.resolve("@julusian/jpeg-turbo/package.json");
    const { version } = require(manifest) as { version: string };
    const prebuilt = (variant: string): string =>
      join(dirname(manifest), "prebuilds", `jpeg-turbo-linux-${process.arch}${variant}`, "libturbojpeg.so.0");
    return bind(
      koffi,
      loadFirst(koffi, [prebuilt(""), prebuilt("-musl")]),
      `libjpeg-turbo (@julusian/jpeg-turbo ${version})`,
    );
  } catch {
    // Not installed, not built for this machine, or without the functions of its version 3: libvips decodes everything.
    return null;
  }
}

type Koffi = typeof import("koffi");
type Library = ReturnType<Koffi["load"]>;

function loadFirst(koffi: Koffi, [path, ...others]: readonly string[]): Library {
  try {
    return koffi.load(path!);
  } catch (error) {
    if (others.length === 0) throw error;
    return loadFirst(koffi, others);
  }
}

function bind(koffi: Koffi, library: Library, name: string): Turbojpeg {
  koffi.struct("tjscalingfactor", { num: "int", denom: "int" });
  koffi.struct("tjregion", { x: "int", y: "int", w: "int", h: "int" });
  const tj3Init = library.func("void *tj3Init(int initType)") as (type: number) => unknown;
  const tj3Set = library.func("int tj3Set(void *handle, int param, int value)") as Call;
  const tj3Get = library.func("int tj3Get(void *handle, int param)") as Call;
  const tj3SetScalingFactor = library.func("int tj3SetScalingFactor(void *handle, tjscalingfactor factor)") as Call;
  const tj3SetCroppingRegion = library.func("int tj3SetCroppingRegion(void *handle, tjregion region)") as Call;
  const tj3DecompressHeader = library.func(
    "int tj3DecompressHeader(void *handle, const void *jpeg, size_t size)",
  ) as Call;
  const tj3Decompress8 = library.func(
    "int tj3Decompress8(void *handle, const void *jpeg, size_t size, _Out_ void *pixels, int pitch, int format)",
  ) as Call & { async: (...args: readonly unknown[]) => void };

  return {
    name,
    open(ownThread) {
      const handle = tj3Init(TJINIT_DECOMPRESS);
      tj3Set(handle, TJPARAM.stopOnWarning, 1);
      tj3Set(handle, TJPARAM.scanLimit, MOST_SCANS);
      const get = (param: number): number => tj3Get(handle, param);
      // What native code works on in another thread must not be collected meanwhile.
      let held: readonly Uint8Array[] = [];
      return {
        header(bytes) {
          if (tj3DecompressHeader(handle, bytes, bytes.length) !== 0) return null;
          return {
            width: get(TJPARAM.width),
            height: get(TJPARAM.height),
            bitsPerChannel: get(TJPARAM.precision),
            colours: TJCS[get(TJPARAM.colours)] ?? "other",
            isUsual: get(TJPARAM.arithmetic) === 0 && get(TJPARAM.lossless) === 0,
          };
        },
        decode: async (bytes, shrink, { left, top, width, height }, into) => {
          const scaling = tj3SetScalingFactor(handle, { num: 1, denom: shrink });
          const cropping = tj3SetCroppingRegion(handle, { x: left, y: top, w: width, h: height });
          if (scaling !== 0 || cropping !== 0) return false;
          if (ownThread) return tj3Decompress8(handle, bytes, bytes.length, into, 0, TJPF_RGB) === 0;
          held = [bytes, into];
          return new Promise((resolve) => {
            tj3Decompress8.async(handle, bytes, bytes.length, into, 0, TJPF_RGB, (error: unknown, code: number) => {
              resolve(error === null && code === 0 && held.length > 0);
              held = [];
            });
          });
        },
      };
    },
  };
}

type Call = (...args: readonly unknown[]) => number;
