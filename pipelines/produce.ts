import { performance } from "node:perf_hooks";
import type { Log } from "../connectors/log/log.js";
import type { ImageOpener, Source, SourceItem } from "../connectors/source/source.js";
import { isSluiceError } from "../schemas/errors.js";
import type { ErasedImages } from "../operators/archive/erased-images.js";
import { sha256Hex } from "../schemas/canonical.js";
import { erasedRecord } from "../schemas/erased.js";
import { encodeImageRecord, type ImageRecord, type LogRecord } from "../schemas/image-record.js";
import type { Observer } from "../schemas/observed.js";
import { TRACEPARENT, traceparentOf, type TraceContext } from "../schemas/trace.js";
import { batches, mapOrdered } from "./flow/flow.js";
import type { FlowControl } from "./flow/flow-control.js";
import { sleepUntil } from "./flow/sleep-until.js";

export interface ProduceOptions {
  readonly log: Log;
  readonly source: Source;
  readonly topic: string;
  readonly partitions: number;
  /** Records appended so far in this run */
  readonly onAppended?: (records: number) => void;
  readonly stop: AbortSignal;
  /** Images of up to `maxBytes` travel inside their record; by default all by reference */
  readonly inline?: { readonly opener: ImageOpener; readonly maxBytes: number };
  /** Knows which images were erased: their bytes do not come into the log */
  readonly erased?: ErasedImages;
  /** Records a second at most */
  readonly perS?: number;
  /** What is asked of this process while it runs; absent: nothing can be */
  readonly control?: FlowControl | undefined;
  /** Told of the images with which a trace begins */
  readonly observer?: Observer | undefined;
  readonly nowMs?: () => number;
}

/** Appended at once, with the source's cursor: a flush of the disk is shared by this many. */
const APPEND = { max: 8 * 1024 * 1024, maxItems: 512, maxDelayMs: 200 };

/** Images read at once for going inside their records */
const READ_CONCURRENCY = 8;

/** What a record takes in the log beside its bytes, about. */
const RECORD_BYTES = 256;

/**
 * Puts a source's images into the images topic, each batch with the source's cursor: a run that resumes skips nothing, and repeats
 * one batch at most (see `Log.append`). Batches go around the partitions. Returns the number of records appended.
 */
export async function produce(options: ProduceOptions): Promise<number> {
  const {
    log,
    source,
    topic,
    partitions,
    onAppended,
    stop,
    inline,
    perS,
    erased,
    observer,
    nowMs = Date.now,
  } = options;
  const name = `produce/${topic}/${source.name}`;
  const startedMs = performance.now();
  let appended = 0;
  let turn = 0;
  const listed = source.items(await log.cursor(name));
  const items = inline === undefined ? listed : mapOrdered(listed, READ_CONCURRENCY, (item) => withBytes(item, inline));
  const atOnce = perS === undefined ? {} : { maxItems: Math.max(1, Math.min(APPEND.maxItems, Math.floor(perS / 5))) };
  for await (const group of batches(items, { ...APPEND, ...atOnce, weight: sizeOf })) {
    if (perS !== undefined && !(await reached(startedMs + (appended * 1000) / perS, stop))) break;
    const held = options.control?.hold(stop) ?? null;
    if (held !== null && !(await held)) break;
    const value = group[group.length - 1]!.cursor;
    await erased?.look();
    const traces: [number, TraceContext][] = [];
    const startMs = nowMs();
    const records = group.map(({ record }, at) => {
      const encoded = encodeImageRecord(withoutErased(record, erased));
      const trace = observer?.tracer?.begin() ?? null;
      if (trace === null) return encoded;
      traces.push([at, trace]);
      return traced(encoded, trace);
    });
    const partition = turn++ % partitions;
    const first = await log.append(topic, partition, records, { name, value });
    for (const [at, trace] of traces) {
      const attributes = { "sluice.stream": topic, "sluice.partition": partition, "sluice.offset": first + at };
      observer?.take({
        event: "span.ended",
        name: "produce",
        trace,
        parent: null,
        startMs,
        endMs: nowMs(),
        attributes,
      });
    }
    appended += records.length;
    onAppended?.(appended);
    if (stop.aborted) break;
  }
  return appended;
}

function traced(record: LogRecord, trace: TraceContext): LogRecord {
  return { ...record, headers: { ...record.headers, [TRACEPARENT]: traceparentOf(trace) } };
}

/** Waits for a moment, as `performance.now` counts; false where it is to stop before. */
async function reached(atMs: number, stop: AbortSignal): Promise<boolean> {
  const delayMs = atMs - performance.now();
  if (delayMs > 0) await sleepUntil(delayMs, stop);
  return !stop.aborted;
}

/** What cannot be read here, or is too large, goes by reference: the scorer says what is wrong with it. */
async function withBytes(
  item: SourceItem,
  { opener, maxBytes }: NonNullable<ProduceOptions["inline"]>,
): Promise<SourceItem> {
  const { record, cursor } = item;
  if (record.bytes !== null) return item;
  try {
    const bytes = await opener.open(record.uri, maxBytes);
    // A record without a value, or with an empty one, is one by reference.
    return bytes.length === 0 ? item : { record: { ...record, bytes }, cursor };
  } catch (error) {
    if (isSluiceError(error) && error.code.startsWith("E_IMAGE_")) return item;
    throw error;
  }
}

/** A record in the place of an image that was erased says so and no more. */
function withoutErased(record: ImageRecord, erased: ErasedImages | undefined): ImageRecord {
  if (record.bytes === null || erased === undefined || erased.size === 0) return record;
  return erased.has(sha256Hex(record.bytes)) ? erasedRecord(record) : record;
}

function sizeOf({ record }: SourceItem): number {
  return RECORD_BYTES + (record.bytes?.length ?? 0);
}
