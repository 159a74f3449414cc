import { digestText } from "../../operators/version/fetched-images.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { IndexRow } from "../../schemas/index-row.js";
import { BYTES } from "../../schemas/scored-batch.js";

/** What a row of a cut says of its image; `bytes` says whether they can be had, as of its archived row. */
export type ChosenImage = Omit<IndexRow, "class" | "label" | "rank" | "shard" | "repeat" | "by">;

export function chosenImage(rows: ChosenRows, at: number): ChosenImage {
  return {
    sha256: digestText(rows, at),
    key: numberOrNull(rows.keys[at]!),
    probability: numberOrNull(rows.probability[at]!),
    uri: rows.uri[at]!,
    partition: rows.partition[at]!,
    offset: rows.offset[at]!,
    eventTimeMs: rows.eventTimeMs[at]!,
    sizeBytes: rows.sizeBytes[at]!,
    width: rows.width[at]!,
    height: rows.height[at]!,
    licence: rows.licence[at] ?? null,
    origin: rows.origin[at] ?? null,
    notes: rows.notes[at] ?? null,
    bytes: rows.bytes[at] === BYTES.absent ? "absent" : "shard",
  };
}

/** NaN: the teacher did not archive the image in the class. */
function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
