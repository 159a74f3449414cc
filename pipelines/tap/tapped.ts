import type { Config } from "../../schemas/config.js";
import type { ErrorCode } from "../../schemas/errors.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { Segment } from "../../schemas/segment.js";
import type { CandidatesMessage } from "../../schemas/wire/candidates.js";

export interface RankedClass {
  readonly class: string;
  /** e to the rank key, 0 to 1 */
  readonly probability: number;
}

/** A record that passes a stage. */
export type Tapped =
  | {
      readonly stage: "images";
      readonly partition: number;
      readonly offset: number;
      readonly uri: string;
      readonly eventTimeMs: number;
      /** null: by reference */
      readonly inlineBytes: number | null;
      /** Why it is no image record; null where it is one */
      readonly fault: string | null;
    }
  | {
      readonly stage: "scores";
      readonly partition: number;
      readonly offset: number;
      readonly teacher: string;
      readonly sha256: string;
      readonly uri: string | null;
      readonly copied: boolean;
      /** The best first */
      readonly classes: readonly RankedClass[];
    }
  | ({
      readonly stage: "candidates";
      readonly dataset: string;
      readonly partition: number;
      readonly offset: number;
      readonly teacher: string;
      /** The first 128 bits of the image's digest */
      readonly digest: string;
    } & RankedClass)
  | {
      readonly stage: "quarantine";
      readonly partition: number;
      readonly offset: number;
      readonly code: ErrorCode;
      readonly reason: string;
      readonly uri: string;
    }
  | {
      readonly stage: "labels";
      readonly partition: number;
      readonly sha256: string;
      readonly verdict: ImageLabel["verdict"];
      /** null where no class is named */
      readonly class: string | null;
      readonly timeMs: number;
      readonly by: string | null;
    }
  | {
      /** What a class shard needs of candidates from then on */
      readonly stage: "thresholds";
      readonly dataset: string;
      readonly teacher: string;
      /** Where the window starts, ms; null: the global one */
      readonly windowMs: number | null;
      readonly shard: number;
      readonly shards: number;
      /** Records that it knows of */
      readonly records: number;
      /** `least`: below it nothing enters the class, e to the rank key; null: all do. `images`: distinct ones, at most K + R */
      readonly classes: readonly { readonly class: string; readonly least: number | null; readonly images: number }[];
    }
  | {
      readonly stage: "versions";
      readonly dataset: string;
      readonly number: number;
      readonly id: string;
      readonly rows: number;
      readonly createdAt: string;
    };

export type Labels = readonly string[];

/** Classes of an image that are shown */
const SHOWN = 5;
/** Bytes of a digest by which candidates name an image */
const IDENTITY_BYTES = 16;

const named = (labels: Labels, classIndex: number): string => labels[classIndex] ?? String(classIndex);

export function scoresOf({ header, batch }: Segment, labels: Labels): Tapped[] {
  const { teacher, partition } = header;
  return Array.from({ length: batch.count }, (_, row): Tapped => ({
    stage: "scores",
    partition,
    offset: Number(batch.offset[row]!),
    teacher,
    sha256: Buffer.from(batch.digest.subarray(row * 32, row * 32 + 32)).toString("hex"),
    uri: batch.uri.get(row),
    copied: batch.copied[row] === 1,
    classes: bestOf({ header, batch }, row, SHOWN).map(({ index, key }) => ({
      class: named(labels, index),
      probability: Math.exp(key),
    })),
  }));
}

/** What a segment gives each dataset: of an image its P best classes, whatever thresholds leave out of them. */
export function candidatesOf(segment: Segment, labels: Labels, { datasets }: Pick<Config, "datasets">): Tapped[] {
  const { header, batch } = segment;
  const { teacher, partition } = header;
  return datasets.flatMap(({ name, select }) =>
    Array.from({ length: batch.count }, (_, row) =>
      bestOf(segment, row, select.p).map(({ index, key }): Tapped => ({
        stage: "candidates",
        dataset: name,
        partition,
        offset: Number(batch.offset[row]!),
        teacher,
        digest: Buffer.from(batch.digest.subarray(row * 32, row * 32 + IDENTITY_BYTES)).toString("hex"),
        class: named(labels, index),
        probability: Math.exp(key),
      })),
    ).flat(),
  );
}

/** What a message of the candidates topic has. */
export function candidatesTold(message: CandidatesMessage, labels: ReadonlyMap<string, Labels>): Tapped[] {
  const { teacher, partition } = message;
  return message.datasets.flatMap(({ dataset, parts }) =>
    parts.flatMap(({ batch }) =>
      Array.from({ length: batch.count }, (_, row): Tapped => {
        const words = batch.identity.subarray(row * 4, row * 4 + 4);
        return {
          stage: "candidates",
          dataset,
          partition,
          offset: batch.offset[row]!,
          teacher,
          digest: [...words].map((word) => word.toString(16).padStart(8, "0")).join(""),
          class: named(labels.get(teacher) ?? [], batch.classes[row]!),
          probability: Math.exp(batch.keys[row]!),
        };
      }),
    ),
  );
}

export function quarantinedOf({ header }: Segment): Tapped[] {
  return header.rejected.map(({ offset, code, reason, uri }): Tapped => {
    return { stage: "quarantine", partition: header.partition, offset, code, reason, uri };
  });
}

function bestOf({ batch }: Segment, row: number, most: number): { readonly index: number; readonly key: number }[] {
  const { topM } = batch;
  return Array.from({ length: Math.min(most, topM) }, (_, rank) => ({
    index: batch.classes[row * topM + rank]!,
    key: batch.keys[row * topM + rank]!,
  })).filter(({ key }) => !Number.isNaN(key));
}
