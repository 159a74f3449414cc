import type { Dataset, Span } from "./dataset.js";
import type { Frontier } from "./frontier.js";
import type { GuardedBy } from "./guard.js";
import type { LabelFrontier } from "./image-label.js";
import type { LeftOut } from "./left-out.js";
import type { Manifest } from "./manifest.js";
import type { EngineInfo } from "./segment.js";

/** The rows that a cut chose for one class, rank ascending: row i has rank i + 1. */
export interface ChosenRows {
  readonly class: number;
  /** n, at most K unless the rank is over all classes; 0 for a class that nothing stands for */
  readonly count: number;
  /** rank key: the log-probability, unless the selection ranks by something else; NaN for rows by a label that the teacher did not archive in the class, [n] */
  readonly keys: Float64Array;
  /** under the selection's labels and temperature, [n] */
  readonly probability: Float64Array;
  /** 1 for rows that are there because somebody said so, [n]; absent: none is */
  readonly byLabel?: Uint8Array | undefined;
  /** how often the row was there before: 0, or more where a scarce class's rows are repeated, [n] */
  readonly repeat: Uint32Array;
  /** SHA-256 of each image's bytes, [n x 32] */
  readonly digest: Uint8Array;
  /** the recorded occurrence: greatest score, then lowest (partition, offset), [n] */
  readonly partition: Int32Array;
  readonly offset: Float64Array;
  /** ms since the epoch, UTC, [n] */
  readonly eventTimeMs: Float64Array;
  readonly sizeBytes: Uint32Array;
  readonly width: Uint32Array;
  readonly height: Uint32Array;
  readonly uri: readonly string[];
  readonly licence: readonly (string | null)[];
  readonly origin: readonly (string | null)[];
  /** what was done on decoding, as archived, [n] */
  readonly notes: readonly (string | null)[];
  /** one of BYTES: where the bytes were when the row was archived, [n] */
  readonly bytes: Uint8Array;
  /** Whole name of the pack that kept them, null where none did, [n] */
  readonly pack: readonly (string | null)[];
  /** 1 for rows behind rank K + R, whose bytes nobody promised to keep, [n]; none where left out */
  readonly deep?: Uint8Array | undefined;
  /** What would have stood in the class, in the order of the ranks; nothing where left out */
  readonly leftOut?: readonly LeftOut[] | undefined;
}

/** A cut: what a version is made of. Live publishing, rebuild and reproduce all end in one of these. */
export interface Cut {
  readonly dataset: Dataset;
  readonly teacher: Manifest["teacher"];
  /** The version's classes: the teacher's, or those of the label map, [L] */
  readonly labels: readonly string[];
  /** K of each class, [L] */
  readonly quota: Int32Array;
  readonly stream: string;
  readonly frontier: Frontier;
  /** Up to where people's labels were heeded */
  readonly labelFrontier: LabelFrontier;
  /** Event times that the rows were chosen from */
  readonly span: Span;
  readonly engines: readonly EngineInfo[];
  /** As the manifest has it */
  readonly lost: Manifest["provenance"]["lost"];
  readonly records: Manifest["totals"]["records"];
  /** Ranges were left out on request because their segments are missing or corrupt */
  readonly incomplete: boolean;
  /** Up to where scores of other teachers were heeded; none where the selection asks for none */
  readonly scores?: readonly { readonly teacher: string; readonly frontier: Frontier }[];
  /** The evaluation sets whose images were kept out; null where nothing is guarded */
  readonly guard?: GuardedBy | null | undefined;
  /** Times that the archive was read for deeper lists than states keep; final when `classes` has ended */
  readonly read?: { readonly deeper: number } | undefined;
  /** What made the cut happen: `end`, `hand`, `rebuild` … */
  readonly trigger: string;
  /** One entry a class, every class, ascending. Read once. */
  readonly classes: AsyncIterable<ChosenRows>;
}
