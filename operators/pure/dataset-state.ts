import { candidates } from "./candidates.js";
import { topk, type TopkState } from "./topk.js";
import type { Out } from "./operator.js";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { parametersDigest, reserveOf, type Dataset } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import { endIn, frontierSchema, sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import { engineInfoSchema, type EngineInfo, type Segment } from "../../schemas/segment.js";
import { z } from "zod";
import { canonicalJson } from "../../schemas/canonical.js";

const count = z.int().nonnegative();
const totalsSchema = z.strictObject({ in: count, scored: count, copied: count, quarantined: count, lost: count });
export type RecordTotals = z.infer<typeof totalsSchema>;

const coverageSchema = z.strictObject({
  parameters: z.string(),
  frontier: frontierSchema,
  records: totalsSchema,
  engines: z.array(engineInfoSchema),
});

export interface DatasetStateOptions {
  readonly dataset: Dataset;
  readonly teacher: string;
  readonly stream: string;
  /** C */
  readonly classCount: number;
}

const DROP: Out<never> = {
  emit: () => undefined,
  reject: (_rows, code, reason) => {
    throw new SluiceError(code, `An archived row cannot be ranked: ${reason}`);
  },
};

/**
 * A dataset's top-K and what of the archive it covers. It takes each segment exactly once: one that continues the chain
 * it has; a repeat is skipped, a gap is refused.
 */
export class DatasetState {
  readonly topk: TopkState;
  readonly #parameters: string;
  readonly #candidates;
  readonly #ends = new Map<string, ChainEnd>();
  readonly #engines = new Map<string, EngineInfo>();
  #records: RecordTotals = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };

  /** Throws E_CHECKPOINT_CORRUPT for bytes that are no snapshot made under the same parameters. */
  constructor(options: DatasetStateOptions, snapshot?: Uint8Array) {
    const { dataset, teacher, stream, classCount } = options;
    const floorKey = dataset.select.floor > 0 ? Math.log(dataset.select.floor) : Number.NEGATIVE_INFINITY;
    this.#parameters = parametersDigest(dataset, teacher, stream);
    const operator = topk({ classes: classCount, k: dataset.select.k, reserve: reserveOf(dataset), floorKey });
    const parts = snapshot === undefined ? null : splitSnapshot(snapshot);
    this.topk = operator.restore(parts?.rest);
    // Candidates below the state's own thresholds are not even made: they could not enter it.
    const { thresholds } = this.topk;
    this.#candidates = candidates({ p: dataset.select.p, classes: classCount, floorKey, thresholds }).restore();
    if (parts === null) return;
    const { coverage } = parts;
    if (coverage.parameters !== this.#parameters) {
      throw new SluiceError(
        "E_CHECKPOINT_CORRUPT",
        `Expected a checkpoint made under the parameters ${this.#parameters.slice(0, 12)}, found ${coverage.parameters.slice(0, 12)}.`,
      );
    }
    for (const chain of coverage.frontier) this.#ends.set(chainKey(chain), chain);
    for (const engine of coverage.engines) this.#engines.set(canonicalJson(engine), engine);
    this.#records = coverage.records;
  }

  get parameters(): string {
    return this.#parameters;
  }

  get frontier(): Frontier {
    return sortFrontier(this.#ends.values());
  }

  get records(): RecordTotals {
    return { ...this.#records };
  }

  get engines(): readonly EngineInfo[] {
    return [...this.#engines.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, engine]) => engine);
  }

  /** Returns whether the segment was new. Throws E_CHAIN_GAP where it starts beyond what the state covers. */
  apply(segment: Segment): boolean {
    const { header, batch } = segment;
    const { partition, origin, start, end } = header;
    const key = chainKey(header);
    const covered = this.#ends.get(key)?.end ?? origin;
    if (end <= covered) return false;
    if (start !== covered) {
      throw new SluiceError(
        "E_CHAIN_GAP",
        `Expected the segment of ${header.stream}/${partition} that starts at ${covered}, found [${start}, ${end}).`,
      );
    }
    this.#candidates.onBatch(batch, {
      emit: (made: CandidateBatch) => {
        this.topk.onBatch(made, DROP);
      },
      reject: (rows, code, reason) => {
        DROP.reject(rows, code, reason);
      },
    });
    this.#ends.set(key, { partition, origin, end });
    this.#engines.set(canonicalJson(header.engine), header.engine);
    const { counts } = header;
    const records = this.#records;
    this.#records = {
      in: records.in + counts.in,
      scored: records.scored + counts.scored,
      copied: records.copied + counts.copied,
      quarantined: records.quarantined + counts.quarantined,
      lost: records.lost + counts.lost,
    };
    return true;
  }

  /** Counts a range as taken in although its segment cannot be read: the state is no longer that of the archive. */
  skip(chain: ChainEnd): void {
    this.#ends.set(chainKey(chain), chain);
  }

  /** Where this state is in one chain */
  endIn(chain: { partition: number; origin: number }): number {
    return endIn(this.frontier, chain);
  }

  /** Equal state gives equal bytes. */
  snapshot(): Uint8Array {
    const coverage = {
      parameters: this.#parameters,
      frontier: this.frontier,
      records: this.#records,
      engines: [...this.engines],
    };
    const head = Buffer.from(canonicalJson(coverage));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(head.length);
    return Buffer.concat([length, head, this.topk.snapshot()]);
  }
}

function chainKey(chain: { partition: number; origin: number }): string {
  return `${chain.partition}/${chain.origin}`;
}

export type Coverage = z.infer<typeof coverageSchema>;

/** What a snapshot covers, and the operator's part of it. Throws E_CHECKPOINT_CORRUPT. */
export function splitSnapshot(snapshot: Uint8Array): { coverage: Coverage; rest: Uint8Array } {
  try {
    const length = Buffer.from(snapshot.buffer, snapshot.byteOffset, 4).readUInt32LE();
    const coverage = coverageSchema.parse(JSON.parse(Buffer.from(snapshot.subarray(4, 4 + length)).toString()));
    return { coverage, rest: snapshot.subarray(4 + length) };
  } catch (cause) {
    throw new SluiceError("E_CHECKPOINT_CORRUPT", "Expected the snapshot of a dataset's state, found other bytes.", {
      cause,
    });
  }
}
