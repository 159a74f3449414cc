import { repeatGrey } from "../headers/channels.js";
import { RESAMPLE_MODULE } from "./resample-module.js";
import type { StoredPixels } from "../libvips/stored-pixels.js";
import { axisWeights, type Axis, type AxisWeights } from "./weights.js";

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly across: (...parameters: readonly number[]) => void;
  readonly down: (...parameters: readonly number[]) => void;
}

const PAGE_BYTES = 65_536;
const CHANNELS = 3;
/** What a vector may read or write past the end of a row */
const SLACK_BYTES = 64;
/** Rows are brought into WebAssembly's memory by so many bytes, where they are not written there at once: memory that fits a cache. */
const STRIP_BYTES = 256 * 1024;

let compiled: WebAssembly.Module | null = null;

/** The part of an image that scaling needs, px */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Prepared {
  readonly region: Region;
  readonly columns: AxisTable;
  readonly rows: AxisTable;
  readonly order: PassOrder;
  /** Addresses in the module's memory */
  readonly places: Readonly<Record<"across" | "down" | "between" | "out" | "source", number>>;
}

/** Which pass comes first. Values are rounded and cut off between them: of a picture on its side, the other order is Pillow's. */
export type PassOrder = "across first" | "down first";

/** Scales RGB images in memory of its own, which grows with the largest of them and is used again. One image at a time. */
export class Resampler {
  readonly #exports: Exports;
  #prepared: Prepared | null = null;

  constructor() {
    compiled ??= new WebAssembly.Module(Buffer.from(RESAMPLE_MODULE, "base64"));
    this.#exports = new WebAssembly.Instance(compiled).exports as unknown as Exports;
  }

  /**
   * Makes ready for an image: which part of it is needed, beginning at a multiple of `grid` columns and with `grid` more on either
   * side, or all of it; and where its pixels go: u8, [height x width x 3]. Valid until the next call.
   */
  source(
    across: Axis,
    down: Axis,
    order: PassOrder,
    grid: number | "all",
  ): { readonly region: Region; readonly pixels: Uint8Array } {
    const [columns, rows] = [known(across, acrossTable), known(down, downTable)];
    if (grid === "all") return this.#wholeSource(across.length, down.length, columns, rows, order);
    const left = Math.max(0, Math.floor(columns.first / grid) - 1) * grid;
    const right = Math.min(across.length, columns.end + grid);
    const region = { left, top: rows.first, width: right - left, height: rows.end - rows.first };
    const bytes = region.width * region.height * CHANNELS;
    const { places } = this.#prepare(region, columns, rows, order, region.height);
    return { region, pixels: new Uint8Array(this.#exports.memory.buffer, places.source, bytes) };
  }

  #wholeSource(
    width: number,
    height: number,
    columns: AxisTable,
    rows: AxisTable,
    order: PassOrder,
  ): { readonly region: Region; readonly pixels: Uint8Array } {
    const scaled = { left: 0, top: rows.first, width, height: rows.end - rows.first };
    const { places } = this.#prepare(scaled, columns, rows, order, height);
    const source = places.source + rows.first * width * CHANNELS;
    this.#prepared = { ...this.#prepared!, places: { ...places, source } };
    return {
      region: { left: 0, top: 0, width, height },
      pixels: new Uint8Array(this.#exports.memory.buffer, places.source, width * height * CHANNELS),
    };
  }

  /** What `source` made ready for, of the pixels written there: u8, [rows x columns x 3], the caller's own. */
  scale(): Uint8Array {
    const prepared = this.#prepared!;
    const { region, rows, order } = prepared;
    if (order === "across first") this.#across(prepared, prepared.places.source, region.height, 0);
    else this.#down(prepared, 0, rows.count, 0);
    return this.#finish(prepared);
  }

  /** The same of pixels that lie elsewhere, brought here by strips of rows. */
  scaleStored(stored: StoredPixels, across: Axis, down: Axis, order: PassOrder): Uint8Array {
    const [columns, rows] = [known(across, acrossTable), known(down, downTable)];
    const { width } = stored;
    const region = { left: 0, top: rows.first, width, height: rows.end - rows.first };
    const most = Math.max(order === "across first" ? 1 : rows.taps * 2, Math.floor(STRIP_BYTES / (width * CHANNELS)));
    const prepared = this.#prepare(region, columns, rows, order, Math.min(region.height, most));
    if (order === "across first") {
      for (let row = 0; row < region.height; row += most) {
        const count = Math.min(most, region.height - row);
        this.#bring(stored, prepared, row, count);
        this.#across(prepared, prepared.places.source, count, row);
      }
      return this.#finish(prepared);
    }
    for (let row = 0; row < rows.count;) {
      const first = rows.starts[row]! - rows.first;
      const endOf = (at: number): number => Math.min(region.height, rows.starts[at]! - rows.first + rows.taps);
      let next = row + 1;
      while (next < rows.count && endOf(next) - first <= most) next += 1;
      this.#bring(stored, prepared, first, endOf(next - 1) - first);
      this.#down(prepared, row, next - row, first);
      row = next;
    }
    return this.#finish(prepared);
  }

  #prepare(region: Region, columns: AxisTable, rows: AxisTable, order: PassOrder, sourceRows: number): Prepared {
    let end = 0;
    const place = (length: number): number => {
      const at = end;
      end = Math.ceil((at + length + SLACK_BYTES) / 16) * 16;
      return at;
    };
    const isAcrossFirst = order === "across first";
    const rowBytes = region.width * CHANNELS;
    // Behind the last column and the last row: those whose weight is 0
    const [columnSlack, rowSlack] = [columns.taps * CHANNELS, rows.taps + 1];
    const places = {
      across: place(columns.bytes.length),
      down: place(rows.bytes.length),
      out: place(rows.count * columns.count * CHANNELS),
      between: place(
        isAcrossFirst ? (region.height + rowSlack) * columns.count * CHANNELS : rows.count * rowBytes + columnSlack,
      ),
      source: place(isAcrossFirst ? sourceRows * rowBytes + columnSlack : (sourceRows + rowSlack) * rowBytes),
    };
    const { memory } = this.#exports;
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    new Uint8Array(memory.buffer).set(columns.bytes, places.across);
    new Uint8Array(memory.buffer).set(rows.bytes, places.down);
    // The offsets in the table count rows: their length is this image's.
    const step = 2 + rows.groups * 2;
    const table = new Int32Array(memory.buffer, places.down, rows.count * step);
    const passBytes = isAcrossFirst ? columns.count * CHANNELS : rowBytes;
    for (let row = 0; row < rows.count; row++) table[row * step]! *= passBytes;
    this.#prepared = { region, columns, rows, order, places };
    return this.#prepared;
  }

  #bring({ pixels, width, channels }: StoredPixels, { region, places }: Prepared, row: number, count: number): void {
    const strip = new Uint8Array(this.#exports.memory.buffer, places.source, count * width * CHANNELS);
    const from = (region.top + row) * width * channels;
    const rows = pixels.subarray(from, from + count * width * channels);
    if (channels === CHANNELS) strip.set(rows);
    else repeatGrey(rows, strip);
  }

  /** Rows at `from` across, into what lies between from row `at` on; or, as the second pass, into the result. */
  #across({ region, columns, order, places }: Prepared, from: number, rows: number, at: number): void {
    const { left, width } = region;
    const into = order === "across first" ? places.between : places.out;
    this.#exports.across(
      from + (columns.first - left) * CHANNELS,
      width * CHANNELS,
      rows,
      places.across,
      columns.groups,
      columns.count,
      into + at * columns.count * CHANNELS,
    );
  }

  /** `count` rows of the result from row `at` on. As the first pass, of source rows of which the first here is `first`. */
  #down({ region, columns, rows, order, places }: Prepared, at: number, count: number, first: number): void {
    const isSecond = order === "across first";
    const rowBytes = (isSecond ? columns.count : region.width) * CHANNELS;
    const [from, into] = isSecond ? [places.between, places.out] : [places.source - first * rowBytes, places.between];
    const entryBytes = 8 + rows.groups * 8;
    this.#exports.down(from, rowBytes, places.down + at * entryBytes, rows.groups, count, into + at * rowBytes);
  }

  #finish(prepared: Prepared): Uint8Array {
    const { columns, rows, order, places } = prepared;
    if (order === "across first") this.#down(prepared, 0, rows.count, 0);
    else this.#across(prepared, places.between, rows.count, 0);
    const { memory } = this.#exports;
    return new Uint8Array(memory.buffer, places.out, rows.count * columns.count * CHANNELS).slice();
  }
}

/** The weights of an axis as resample.wat reads them. */
interface AxisTable extends Pick<AxisWeights, "starts" | "first" | "end" | "taps"> {
  readonly bytes: Uint8Array;
  /** Pixels of the result */
  readonly count: number;
  /** Groups of weights that each of them has: of 4 across, of 2 down */
  readonly groups: number;
}

/** A weight in its two parts. */
const lowOf = (weight: number): number => ((weight + 1024) & 2047) - 1024;
const highOf = (weight: number): number => (weight - lowOf(weight)) >> 11;

/** For each column: an i32 offset in bytes, 12 bytes of nothing, then 4 high and 4 low weights for each 4 pixels. */
function acrossTable(axis: AxisWeights): AxisTable {
  return tableOf(axis, { together: 4, headBytes: 16, offsetUnit: CHANNELS });
}

/** For each row: an i32 offset in rows, 4 bytes of nothing, then 2 high and 2 low weights for each 2 rows. */
function downTable(axis: AxisWeights): AxisTable {
  return tableOf(axis, { together: 2, headBytes: 8, offsetUnit: 1 });
}

function tableOf(
  { starts, weights, taps, first, end }: AxisWeights,
  { together, headBytes, offsetUnit }: { together: number; headBytes: number; offsetUnit: number },
): AxisTable {
  const groups = Math.ceil(taps / together);
  const count = starts.length;
  const step = headBytes / 2 + groups * together * 2;
  const words = new Int16Array(count * step);
  const offsets = new Int32Array(words.buffer);
  for (let pixel = 0; pixel < count; pixel++) {
    offsets[(pixel * step) / 2] = (starts[pixel]! - first) * offsetUnit;
    for (let tap = 0; tap < taps; tap++) {
      const weight = weights[pixel * taps + tap]!;
      const at = pixel * step + headBytes / 2 + Math.floor(tap / together) * together * 2 + (tap % together);
      words[at] = highOf(weight);
      words[at + together] = lowOf(weight);
    }
  }
  return { bytes: new Uint8Array(words.buffer), count, groups, starts, taps: groups * together, first, end };
}

/** Photographs of one camera or collection have few sizes: their weights are made once. */
const KEPT = 32;
/** Tables of very long sides are not kept. */
const MOST_KEPT_BYTES = 1024 * 1024;
const kept = new Map<string, AxisTable>();

function known(axis: Axis, make: (weights: AxisWeights) => AxisTable): AxisTable {
  const { kernel, antialias, length, extent, scaled, from, to } = axis;
  const key = `${make.name} ${kernel} ${antialias} ${length} ${extent} ${scaled} ${from} ${to}`;
  const table = kept.get(key) ?? make(axisWeights(axis));
  kept.delete(key);
  if (table.bytes.length > MOST_KEPT_BYTES) return table;
  kept.set(key, table);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
  return table;
}
