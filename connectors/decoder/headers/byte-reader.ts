import { counted } from "../../../schemas/counted.js";
import { SluiceError } from "../../../schemas/errors.js";

/** Reads numbers out of an image's header, big-endian where not said; reading past the end is E_IMAGE_TRUNCATED. */
export class ByteReader {
  readonly length: number;
  readonly #view: DataView;
  readonly #format: string;

  constructor(
    readonly bytes: Uint8Array,
    format: string,
  ) {
    this.length = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#format = format;
  }

  u8(at: number): number {
    this.#need(at, 1);
    return this.#view.getUint8(at);
  }
  u16(at: number, littleEndian = false): number {
    this.#need(at, 2);
    return this.#view.getUint16(at, littleEndian);
  }
  u24le(at: number): number {
    return this.u16(at, true) | (this.u8(at + 2) << 16);
  }
  u32(at: number, littleEndian = false): number {
    this.#need(at, 4);
    return this.#view.getUint32(at, littleEndian);
  }
  i32le(at: number): number {
    this.#need(at, 4);
    return this.#view.getInt32(at, true);
  }
  /** Latin-1 */
  text(at: number, length: number): string {
    this.#need(at, length);
    return String.fromCharCode(...this.bytes.subarray(at, at + length));
  }

  #need(at: number, count: number): void {
    if (at + count > this.length) throw truncated(this.#format, this.length);
  }
}

export function truncated(format: string, sizeBytes: number): SluiceError {
  return new SluiceError(
    "E_IMAGE_TRUNCATED",
    `Expected a whole ${format} file, found its end missing after ${counted(sizeBytes, "byte")}. Fetch it again, then \`sluice quarantine retry\`.`,
  );
}

export function corrupt(format: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "E_IMAGE_CORRUPT",
    `Expected a readable ${format} file, found ${found}. Replace it, then \`sluice quarantine retry\`.`,
    { cause },
  );
}
