import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import { datasetSchema } from "../../schemas/dataset.js";
import { BYTES } from "../../schemas/scored-batch.js";

interface CutShape {
  readonly classes: number;
  /** A class */
  readonly rows: number;
  readonly imageBytes: number;
  /** That the frontier covers */
  readonly records: number;
}

interface CutImage {
  readonly digest: Uint8Array;
  readonly number: number;
}

/** Images in rank order, class after class, as a cut. */
export function madeCut<Image extends CutImage>(
  shape: CutShape,
  wanted: readonly Image[],
  uriOf: (one: Image) => string,
  packs?: { readonly of: (one: Image) => string | null },
): Cut {
  const { classes, rows, imageBytes: sizeBytes } = shape;
  const labels = Array.from({ length: classes }, (_, index) => `class ${index}`);
  const chosen = labels.map((_, index): ChosenRows => {
    const own = wanted.slice(index * rows, (index + 1) * rows);
    const all = <T>(value: T): T[] => new Array<T>(rows).fill(value);
    return {
      class: index,
      count: rows,
      keys: Float64Array.from(own, (__, rank) => -rank / rows),
      probability: Float64Array.from(own, (__, rank) => Math.exp(-rank / rows)),
      repeat: new Uint32Array(rows),
      digest: Buffer.concat(own.map(({ digest: one }) => one)),
      partition: new Int32Array(rows),
      offset: Float64Array.from(own, ({ number }) => number),
      eventTimeMs: new Float64Array(rows),
      sizeBytes: new Uint32Array(rows).fill(sizeBytes),
      width: new Uint32Array(rows).fill(1),
      height: new Uint32Array(rows).fill(1),
      uri: own.map(uriOf),
      licence: all(null),
      origin: all(null),
      notes: all(null),
      bytes: new Uint8Array(rows).fill(BYTES.refer),
      pack: own.map((one) => packs?.of(one) ?? null),
    };
  });
  const total = { in: shape.records, scored: shape.records };
  return {
    dataset: datasetSchema.parse({ name: "wild", select: { k: rows } }),
    teacher: { digest: "ab".repeat(32), name: "teacher", labels, temperature: 1 },
    labels,
    quota: new Int32Array(classes).fill(rows),
    stream: "images",
    frontier: [{ partition: 0, origin: 0, end: total.in }],
    labelFrontier: [],
    span: { startMs: null, endMs: null },
    lost: [],
    engines: [],
    records: { ...total, copied: 0, quarantined: 0, lost: 0 },
    incomplete: false,
    trigger: "hand",
    classes: {
      async *[Symbol.asyncIterator]() {
        yield* chosen;
      },
    },
  };
}
