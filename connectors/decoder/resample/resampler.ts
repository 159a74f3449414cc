import { RESAMPLE_MODULE } from "./resample-module.js";
import { axisWeights, type Axis, type AxisWeights } from "./weights.js";

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly resample: (...parameters: readonly number[]) => void;
}

const PAGE_BYTES = 65_536;
const CHANNELS = 3;
/** What a vector may read or write past the end of a row */
const SLACK_BYTES = 64;

let compiled: WebAssembly.Module | null = null;

/** The part of an image that a reduction needs, px */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Prepared {
  readonly region: Region;
  readonly columns: AxisWeights;
  readonly rows: AxisWeights;
  /** Addresses in the module's memory */
  readonly places: Readonly<Record<"down" | "across" | "between" | "out" | "source", number>>;
}

/** Reduces RGB images in memory of its own, which grows with the largest of them and is used again. One image at a time. */
export class Resampler {
  readonly #exports: Exports;
  #prepared: Prepared | null = null;

  constructor() {
    compiled ??= new WebAssembly.Module(Buffer.from(RESAMPLE_MODULE, "base64"));
    this.#exports = new WebAssembly.Instance(compiled).exports as unknown as Exports;
  }

  /**
   * Makes ready for an image: which part of it is needed, beginning at a multiple of `grid` columns and with `grid` more on either
   * side, and where its pixels go: u8, [height x width x 3]. Valid until the next call.
   */
  source(across: Axis, down: Axis, grid: number): { readonly region: Region; readonly pixels: Uint8Array } {
    const [columns, rows] = [knownWeights(across), knownWeights(down)];
    const left = Math.max(0, Math.floor(columns.starts[0]! / grid) - 1) * grid;
    const right = Math.min(across.length, columns.starts.at(-1)! + columns.taps + grid);
    const top = rows.starts[0]!;
    const bottom = Math.min(down.length, rows.starts.at(-1)! + rows.taps);
    const region = { left, top, width: right - left, height: bottom - top };
    const bytes = region.width * region.height * CHANNELS;
    let end = 0;
    const place = (length: number): number => {
      const at = end;
      end = Math.ceil((at + length + SLACK_BYTES) / 16) * 16;
      return at;
    };
    const places = {
      down: place(tableBytes(rows)),
      across: place(tableBytes(columns)),
      between: place((region.width + columns.taps) * CHANNELS * 2),
      out: place(rows.starts.length * columns.starts.length * CHANNELS),
      // Below the image: rows whose weight is 0
      source: place(bytes + rows.taps * region.width * CHANNELS),
    };
    const { memory } = this.#exports;
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.#prepared = { region, columns, rows, places };
    return { region, pixels: new Uint8Array(memory.buffer, places.source, bytes) };
  }

  /** What `source` made ready for, of the pixels written there: u8, [rows x columns x 3], the caller's own. */
  reduce(): Uint8Array {
    const { region, columns, rows, places } = this.#prepared!;
    const { memory, resample } = this.#exports;
    const stride = region.width * CHANNELS;
    const firstColumn = columns.starts[0]!;
    const rowBytes = (columns.starts.at(-1)! + columns.taps - firstColumn) * CHANNELS;
    writeTable(memory, places.down, rows, (start) => (start - region.top) * stride);
    writeTable(memory, places.across, columns, (start) => (start - firstColumn) * CHANNELS * 2);
    resample(
      places.source + (firstColumn - region.left) * CHANNELS,
      stride,
      Math.ceil(rowBytes / 16) * 16,
      places.down,
      rows.taps / 2,
      rows.starts.length,
      places.across,
      columns.taps / 2,
      columns.starts.length,
      places.between,
      places.out,
    );
    return new Uint8Array(memory.buffer, places.out, rows.starts.length * columns.starts.length * CHANNELS).slice();
  }
}

/** As resample.wat reads it: for each pixel an i32 offset in bytes, then its weights, i16. */
function writeTable(
  memory: WebAssembly.Memory,
  at: number,
  { starts, weights, taps }: AxisWeights,
  offsetOf: (start: number) => number,
): void {
  const step = 1 + taps / 2;
  const offsets = new Int32Array(memory.buffer, at, starts.length * step);
  const pairs = new Int16Array(memory.buffer, at, starts.length * step * 2);
  for (let index = 0; index < starts.length; index++) {
    offsets[index * step] = offsetOf(starts[index]!);
    for (let tap = 0; tap < taps; tap++) pairs[index * step * 2 + 2 + tap] = weights[index * taps + tap]!;
  }
}

function tableBytes({ starts, taps }: AxisWeights): number {
  return starts.length * (4 + taps * 2);
}

/** Photographs of one camera or collection have few sizes: their weights are made once. */
const KEPT = 32;
const kept = new Map<string, AxisWeights>();

function knownWeights(axis: Axis): AxisWeights {
  const { kernel, length, extent, scaled, from, to } = axis;
  const key = `${kernel} ${length} ${extent} ${scaled} ${from} ${to}`;
  const known = kept.get(key) ?? axisWeights(axis);
  kept.delete(key);
  kept.set(key, known);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
  return known;
}
