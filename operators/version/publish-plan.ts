import { counted } from "../../schemas/counted.js";
import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import { SluiceError } from "../../schemas/errors.js";
import { VersionIdHash, type Manifest } from "../../schemas/manifest.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { DigestSet } from "../topk/digest-set.js";
import { numberedSelection } from "../select/numbered-selection.js";

type SummaryOf = Pick<Cut, "dataset" | "span" | "teacher" | "labels" | "quota" | "guard">;

export type ClassSummary = Manifest["classes"][number];

/** What a version is, gathered while its rows pass once: the id, the table of classes, the totals. */
export class VersionSummary {
  readonly classes: ClassSummary[] = [];
  readonly #cut: SummaryOf;
  readonly #hash: VersionIdHash;
  readonly #images: DigestSet | null;
  #id: string | null = null;
  #rows = 0;

  /** `countImages`: whether distinct images are counted, which takes 21 to 32 bytes an image. */
  constructor(cut: SummaryOf, { countImages = true } = {}) {
    this.#cut = cut;
    this.#hash = new VersionIdHash({
      numbered: numberedSelection(cut.dataset.select, cut.teacher),
      span: cut.span,
      teacher: cut.teacher.digest,
      guard: cut.guard?.digest,
      labels: cut.dataset.labels === "retract" ? "retract" : undefined,
    });
    this.#images = countImages ? new DigestSet() : null;
  }

  /** Takes the next class. Throws E_INTERNAL where a cut breaks its contract: order, length, K. */
  add(rows: ChosenRows): void {
    const expected = this.classes.length;
    const { labels, dataset } = this.#cut;
    const label = labels[expected];
    const k = this.#cut.quota[expected];
    if (rows.class !== expected || label === undefined || k === undefined) {
      throw brokenCut(`expected class ${expected} of ${labels.length}, found class ${rows.class}`);
    }
    if (rows.count > k && dataset.select.balanced)
      throw brokenCut(`expected at most K = ${counted(k, "row")} of class ${rows.class}, found ${rows.count}`);
    for (let row = 0; row < rows.count; row++) {
      const key = rows.keys[row]!;
      const by = rows.byLabel?.[row] === 1 ? "label" : "teacher";
      if (!Number.isFinite(key) && (by === "teacher" || !Number.isNaN(key)))
        throw brokenCut(`expected finite rank keys, found ${key} in class ${rows.class}`);
      const again = rows.repeat[row]! > 0 && rows.repeat[row] !== rows.repeat[row - 1];
      if (row > 0 && !again && !ranksBefore(rows, row - 1, row)) {
        throw brokenCut(`expected ascending ranks, found ranks ${row} and ${row + 1} of class ${rows.class} swapped`);
      }
      const at = row * DIGEST_BYTES;
      this.#hash.row(rows.class, row + 1, rows.digest.subarray(at, at + DIGEST_BYTES), key, by);
      this.#images?.add(rows.digest, at);
    }
    this.#rows += rows.count;
    const first = rows.repeat.indexOf(1);
    const distinct = first < 0 ? rows.count : first;
    const labelled = rows.byLabel?.subarray(0, distinct).reduce((sum, one) => sum + one, 0) ?? 0;
    const isNone = labelled === distinct;
    this.classes.push({
      class: rows.class,
      label,
      k,
      count: rows.count,
      ...(labelled === 0 ? {} : { labelled }),
      repeated: rows.count - distinct,
      best: isNone ? null : rows.probability[labelled]!,
      worst: isNone ? null : rows.probability[distinct - 1]!,
      starving: distinct < k,
      ...leftOutCounts(rows),
    });
  }

  /** The version's id; no class is taken after it. Throws E_INTERNAL where classes are missing. */
  id(): string {
    const { labels } = this.#cut;
    if (this.classes.length !== labels.length) {
      throw brokenCut(`expected ${labels.length} classes, found ${this.classes.length}`);
    }
    this.#id ??= this.#hash.digest();
    return this.#id;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Distinct images so far */
  get images(): number {
    return this.#images?.size ?? 0;
  }
}

/** Nothing where nothing was left out. */
function leftOutCounts({ leftOut = [] }: ChosenRows): Pick<ClassSummary, "near" | "guarded"> {
  const guarded = leftOut.reduce((sum, { by }) => sum + (by === "guard" ? 1 : 0), 0);
  const near = leftOut.length - guarded;
  return { ...(near === 0 ? {} : { near }), ...(guarded === 0 ? {} : { guarded }) };
}

/** Whether row `a` stands before row `b`: those by a label, then rank key descending; then digest ascending. Equal rows do not. */
function ranksBefore(rows: ChosenRows, a: number, b: number): boolean {
  const [first, second] = [rows.byLabel?.[a] ?? 0, rows.byLabel?.[b] ?? 0];
  if (first !== second) return first > second;
  if (first === 0 && rows.keys[a] !== rows.keys[b]) return rows.keys[a]! > rows.keys[b]!;
  for (let byte = 0; byte < DIGEST_BYTES; byte++) {
    const difference = rows.digest[a * DIGEST_BYTES + byte]! - rows.digest[b * DIGEST_BYTES + byte]!;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function brokenCut(found: string): SluiceError {
  return new SluiceError("E_INTERNAL", `A cut breaks its contract: ${found}. Nothing was published.`);
}

/** Consecutive classes that are shuffled together and whose rows are in memory together. */
export interface RowGroup {
  readonly classes: readonly ChosenRows[];
  /** [classes + 1]: class c's rows are [starts[c], starts[c + 1]) of the group */
  readonly starts: readonly number[];
  readonly rows: number;
}

export function rowGroup(classes: readonly ChosenRows[]): RowGroup {
  const starts = [0];
  for (const rows of classes) starts.push(starts.at(-1)! + rows.count);
  return { classes, starts, rows: starts.at(-1)! };
}

/** Calls `each` for rows [start, end) of the group, in order: the class's rows, the row in them, the row in the group. */
export function eachRow(
  group: RowGroup,
  start: number,
  end: number,
  each: (rows: ChosenRows, row: number, position: number) => void,
): void {
  for (let index = 0; index < group.classes.length; index++) {
    const from = Math.max(start, group.starts[index]!);
    const to = Math.min(end, group.starts[index + 1]!);
    for (let position = from; position < to; position++) {
      each(group.classes[index]!, position - group.starts[index]!, position);
    }
  }
}

/**
 * The order of a group's rows in the shards: as good as random over classes and ranks, and a function of the rows.
 * The digest is the randomness; each class reads other bytes of it, so that an image of several classes is not drawn
 * several times in a row. Positions in the group, [rows].
 */
export function shuffledOrder(group: RowGroup): Float64Array {
  const order = new Float64Array(group.rows);
  // A key and the position share the 53 bits that a double holds exactly, so that the numeric sort carries both.
  const positions = 2 ** Math.max(1, Math.ceil(Math.log2(group.rows)));
  const keys = Math.min(2 ** 32, 2 ** 53 / positions);
  eachRow(group, 0, group.rows, (rows, row, position) => {
    const at = row * DIGEST_BYTES + (rows.class % (DIGEST_BYTES - 4));
    const bytes = rows.digest;
    const random = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
    order[position] = Math.floor((random / 2 ** 32) * keys) * positions + position;
  });
  order.sort();
  for (let index = 0; index < order.length; index++) order[index] = order[index]! % positions;
  return order;
}

/** A WebDataset sample's key: no dot (what follows one is the extension), unique, in the order (class, rank). */
export function sampleName(classIndex: number, rank: number): string {
  return `${String(classIndex).padStart(6, "0")}-${String(rank).padStart(8, "0")}`;
}

/** Digits of a file's number: names sort as numbers do, and brace notation (`{000000..000041}`) fits. */
export function fileNumber(index: number): string {
  return String(index).padStart(6, "0");
}

/**
 * The one extension of images in shards, whatever their format. Loaders take a sample's field from it and choose "an image"
 * by it, then look at the bytes: with one extension a format every image of another one is missing from the field, and `avif`
 * is an image to none of them.
 */
export const IMAGE_FIELD = "jpg";

/** The image's format by its bytes: jpg, png, webp, gif, tiff, avif, heic, bmp; `bin` for an unknown one. */
export function imageFormat(bytes: Uint8Array): string {
  const text = (start: number, end: number): string => String.fromCharCode(...bytes.subarray(start, end));
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "jpg";
  if (text(0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return "webp";
  if (text(0, 4) === "GIF8") return "gif";
  if (text(0, 4) === "II*\0" || text(0, 4) === "MM\0*") return "tiff";
  if (text(4, 8) === "ftyp" && /avi[fs]/.test(text(8, 32))) return "avif";
  if (text(4, 8) === "ftyp" && /hei[cx]|mif1/.test(text(8, 32))) return "heic";
  if (text(0, 2) === "BM") return "bmp";
  return "bin";
}

/**
 * Where shards begin in a group's order, [shards + 1], the last being the rows: `count` shards of nearly equal rows, and never
 * one without rows. A loader gives each of its workers whole shards.
 */
export function shardStarts(rows: number, count: number): number[] {
  const shards = Math.min(rows, count);
  return Array.from({ length: shards + 1 }, (_, shard) => Math.floor((shard * rows) / Math.max(1, shards)));
}

/** Which rows of a class stand on its contact sheet: best, median and worst ranks, `width` each, none twice. */
export function sheetRows(count: number, width: number): { best: number[]; median: number[]; worst: number[] } {
  const range = (start: number, end: number): number[] =>
    Array.from({ length: Math.max(0, end - start) }, (_, index) => start + index);
  const best = range(0, Math.min(width, count));
  const worst = range(Math.max(best.length, count - width), count);
  const middle = Math.max(best.length, Math.floor((count - width) / 2));
  return { best, median: range(middle, Math.min(middle + width, count - worst.length)), worst };
}
