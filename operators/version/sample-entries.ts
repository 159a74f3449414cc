import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { sidecarText } from "../../schemas/sample-sidecar.js";
import { IMAGE_FIELD, imageFormat, sampleName } from "./publish-plan.js";
import { tarEntry } from "./tar-entry.js";

/** What all samples of a version have in common. */
export interface SampleSource {
  readonly dataset: string;
  readonly labels: readonly string[];
  /** K of each class, [L] */
  readonly quota: ArrayLike<number>;
  readonly p: number;
  readonly teacher: { readonly name: string; readonly digest: string };
}

const encoder = new TextEncoder();

/**
 * A WebDataset sample, three files of a tar: `<name>.jpg` (the image as it was found, of whatever format), `<name>.cls` (the
 * class in decimal) and `<name>.json` (the sidecar). `digest` is 64 hexadecimal digits.
 */
export function sampleEntries(
  rows: ChosenRows,
  row: number,
  digest: string,
  image: Uint8Array,
  source: SampleSource,
): Uint8Array[] {
  const name = sampleName(rows.class, row + 1);
  const sidecar = sidecarText({
    class: rows.class,
    label: source.labels[rows.class]!,
    rank: row + 1,
    key: numberOrNull(rows.keys[row]!),
    probability: numberOrNull(rows.probability[row]!),
    sha256: digest,
    format: imageFormat(image),
    width: rows.width[row]!,
    height: rows.height[row]!,
    uri: rows.uri[row]!,
    event_time_ms: rows.eventTimeMs[row]!,
    licence: rows.licence[row] ?? "",
    origin: rows.origin[row] ?? "",
    dataset: source.dataset,
    k: source.quota[rows.class]!,
    p: source.p,
    teacher: source.teacher.name,
    teacher_digest: source.teacher.digest,
    by: rows.byLabel?.[row] === 1 ? "label" : "teacher",
  });
  return [
    tarEntry(`${name}.${IMAGE_FIELD}`, image),
    tarEntry(`${name}.cls`, encoder.encode(String(rows.class))),
    tarEntry(`${name}.json`, encoder.encode(sidecar)),
  ];
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
