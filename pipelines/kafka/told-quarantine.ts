import type { Assignment, Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import type { Keeper } from "../../operators/archive/archive.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import type { ChainName } from "../../schemas/keys.js";
import type { Segment } from "../../schemas/segment.js";
import type { TracedImage } from "../../schemas/trace.js";
import type { SluiceError } from "../../schemas/errors.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import type { RecordPlace } from "../../schemas/wire/format-version.js";
import { encodeQuarantined } from "../../schemas/wire/quarantined.js";
import type { Downstream, Fill } from "../flow/downstream.js";

export interface ToldQuarantineOptions {
  readonly log: Pick<Log, "append">;
  readonly store: Store;
  /** Of one partition */
  readonly topic: string;
  readonly nowMs: () => number;
}

/** Tells the quarantine topic what a segment has quarantined. */
export async function tellQuarantined(
  { header }: Segment,
  { log, topic, nowMs }: Pick<ToldQuarantineOptions, "log" | "topic" | "nowMs">,
): Promise<void> {
  const { teacher, stream, partition, rejected } = header;
  if (rejected.length === 0) return;
  const records = rejected.map((one) => encodeQuarantined({ teacher, stream, partition, ...one }, nowMs()));
  await log.append(topic, 0, records);
}

/** Tells the quarantine topic of a record that is no image: one of a topic that other programs write, and that does not read. */
export async function tellRefused(
  { offset, timestampMs }: StoredRecord,
  { topic: stream, partition }: RecordPlace,
  { code, message: reason }: SluiceError,
  { log, topic, nowMs }: Pick<ToldQuarantineOptions, "log" | "topic" | "nowMs">,
): Promise<void> {
  const uri = `log://${stream}/${partition}/${offset}`;
  const place = { teacher: "", stream, partition, offset };
  const told = { ...place, code, reason, sha256: null, uri, eventTimeMs: timestampMs, retryOf: null };
  await log.append(topic, 0, [encodeQuarantined(told, nowMs())]);
}

/** States in this process, and beside them the quarantine topic, which is told of each segment before it is committed. */
export class ToldQuarantine implements Downstream {
  readonly #states: Downstream;
  readonly #options: ToldQuarantineOptions;

  constructor(states: Downstream, options: ToldQuarantineOptions) {
    this.#states = states;
    this.#options = options;
  }

  async catchUp(chain: ChainName, end: number, given: Assignment): Promise<void> {
    await this.#states.catchUp(chain, end, given);
    const reader = new ChainReader(this.#options.store, chain);
    const committed = (await given.committed()) ?? chain.origin;
    // A replay has several chains in a partition: what was committed past this one's end is another one's.
    const isOfThis = committed >= chain.origin && committed <= end;
    const from = await reader.boundaryAtOrBelow(isOfThis ? committed : chain.origin);
    if (from >= end) return;
    // Archived, and maybe not told: the process before this one ended in between.
    for await (const segment of reader.segments(from, end)) {
      if (given.signal.aborted) return;
      await tellQuarantined(segment, this.#options);
      await given.commit(segment.header.end);
    }
  }

  async take(segment: Segment, traced?: readonly TracedImage[]): Promise<void> {
    await this.#states.take(segment, traced);
    await tellQuarantined(segment, this.#options);
  }

  keepers(): readonly Keeper[] {
    return this.#states.keepers();
  }

  fill(): Fill {
    return this.#states.fill();
  }

  close(): Promise<void> {
    return this.#states.close();
  }
}
