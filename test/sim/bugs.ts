import type { Log, LogBatch } from "../../connectors/log/log.js";
import { DatasetState } from "../../operators/topk/dataset-state.js";
import { RunBlocksBuilder } from "../../operators/archive/run-index.js";
import { SegmentBuilder } from "../../operators/archive/segment-builder.js";
import { paneOf } from "../../operators/select/windows.js";
import { TopkState } from "../../operators/topk/topk.js";
import type { Keeper } from "../../operators/archive/archive.js";
import { decodeManifest, encodeManifest } from "../../operators/version/manifests.js";
import { ChainRuns } from "../../operators/archive/chain-runs.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { LocalScoreIndex } from "../../pipelines/flow/score-index.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { endIn } from "../../schemas/frontier.js";
import type { LogRecord } from "../../schemas/image-record.js";
import { runFileName } from "../../schemas/keys.js";
import type { RunHead } from "../../schemas/run.js";
import type { Segment, SegmentHeader } from "../../schemas/segment.js";
import { changedCheckpoint, isCheckpoint, nextUp, overwriting, replace, type Bug } from "./bug.js";
import { TOPIC_BUGS } from "./topic-bugs.js";
import { UPKEEP_BUGS } from "./upkeep-bugs.js";

const isManifest = (key: string): boolean => key.endsWith("/manifest.json");
const isSegment = (key: string): boolean => key.endsWith(".arrow");
const isRunIndex = (key: string): boolean => key.endsWith(".jsonl");
const isPack = (key: string): boolean => key.endsWith(".pack");

/** Keepers whose thresholds are something else than they should be. */
const keepersWith = (change: (keeper: Keeper, live: LiveDatasets) => Keeper) => () =>
  replace(LiveDatasets.prototype, "keepers", (old) => ({
    value(this: LiveDatasets) {
      return (old.value as () => Keeper[]).call(this).map((keeper) => change(keeper, this));
    },
  }));

export const BUGS: readonly Bug[] = [
  {
    name: "checkpoint-forgets-newest-pane",
    likelySeed: 0,
    what: "a checkpoint does not name the newest pane's parts",
    store: (store) => ({
      ...store,
      putIfAbsent: (key, bytes) =>
        store.putIfAbsent(key, isCheckpoint(key) ? changedCheckpoint(bytes, ({ panes }) => panes.pop()) : bytes),
    }),
  },
  {
    name: "checkpoint-forgets-what-changed",
    likelySeed: 14,
    what: "a checkpoint that is tried again takes the parts of the one before for panes that have changed since",
    install: () => replace(DatasetState.prototype, "markChanged", () => ({ value: () => undefined })),
  },
  {
    name: "end-offset-off-by-one",
    likelySeed: 0,
    what: "a segment ends one offset after its last record's end",
    install: () =>
      replace(SegmentBuilder.prototype, "end", (old) => ({
        get(this: SegmentBuilder) {
          const end = (old.get as () => number).call(this);
          return this.records % 3 === 0 ? end + 1 : end;
        },
      })),
  },
  {
    name: "commit-not-idempotent",
    likelySeed: 723,
    what: "a publisher does not know its own manifest again when the answer to its commit was lost",
    store: (store) => ({
      ...store,
      putIfAbsent: (key, bytes) => {
        if (!isManifest(key)) return store.putIfAbsent(key, bytes);
        const manifest = decodeManifest(bytes, key);
        const { commitId } = manifest.provenance;
        const renamed = { ...manifest, provenance: { ...manifest.provenance, commitId: `anew-${commitId}` } };
        return store.putIfAbsent(key, encodeManifest(renamed));
      },
    }),
  },
  {
    name: "segments-replaced",
    likelySeed: 411,
    what: "segments are put, not created only if absent",
    store: overwriting(isSegment),
  },
  {
    name: "manifest-replaced",
    likelySeed: 1,
    what: "a manifest is put, not created only if absent",
    store: overwriting(isManifest),
  },
  {
    name: "thresholds-not-durable",
    likelySeed: 793,
    side: "states",
    what: "bytes are left out by the thresholds of the state in memory, under the name of the first durable checkpoint",
    install: () => {
      // Under the name of the newest one a row was hardly ever left out that a cut at its frontier wants.
      const firsts = new WeakMap<LiveDatasets, Map<string, number>>();
      return keepersWith((keeper, live) => {
        const found = live.datasets.find(({ name }) => name === keeper.dataset);
        if (found === undefined || keeper.thresholdsAt === null) return keeper;
        const named = firsts.get(live) ?? new Map<string, number>();
        firsts.set(live, named);
        const thresholdsAt = named.get(keeper.dataset) ?? keeper.thresholdsAt;
        named.set(keeper.dataset, thresholdsAt);
        return {
          ...keeper,
          thresholdsAt,
          thresholdsFor: (eventTimeMs) => {
            const pane = paneOf(found.window, eventTimeMs);
            if (pane === null) return new Float64Array(0);
            const state = live.stateOf(found).stateOf(pane);
            // Counting makes the thresholds exact.
            state?.counts();
            return state?.thresholds.slice() ?? null;
          },
        };
      })();
    },
  },
  {
    name: "pruning-at-the-threshold",
    likelySeed: 0,
    side: "states",
    what: "images that tie with a threshold lose their bytes",
    install: keepersWith((keeper) => ({
      ...keeper,
      thresholdsFor: (eventTimeMs) => keeper.thresholdsFor(eventTimeMs)?.map(nextUp) ?? null,
    })),
  },
  {
    name: "duplicate-counted-twice",
    likelySeed: 0,
    what: "an image that came twice takes two places of a class",
    cut: (cut) => ({
      ...cut,
      classes: {
        async *[Symbol.asyncIterator]() {
          for await (const rows of cut.classes) yield rows.count < 2 ? rows : withFirstTwice(rows);
        },
      },
    }),
  },
  {
    name: "copies-the-wrong-row",
    likelySeed: 0,
    what: "an image that came before gets the scores of another",
    install: () => {
      const last = new WeakMap<LocalScoreIndex, Found>();
      type Found = ReturnType<LocalScoreIndex["find"]> & object;
      return replace(LocalScoreIndex.prototype, "find", (old) => ({
        value(this: LocalScoreIndex, digest: Uint8Array) {
          const found = (old.value as LocalScoreIndex["find"]).call(this, digest);
          if (found === null) return null;
          const given = last.get(this) ?? found;
          last.set(this, found);
          return given;
        },
      }));
    },
  },
  {
    name: "watermark-regresses",
    likelySeed: 0,
    what: "a segment's watermark is that of its last record",
    install: () => {
      const last = new WeakMap<SegmentBuilder, number>();
      const add = replace(SegmentBuilder.prototype, "add", (old) => ({
        value(this: SegmentBuilder, ...row: Parameters<SegmentBuilder["add"]>) {
          last.set(this, row[0].eventTimeMs);
          (old.value as (...row: unknown[]) => void).apply(this, row);
        },
      }));
      const watermark = replace(SegmentBuilder.prototype, "watermarkMs", (old) => ({
        get(this: SegmentBuilder) {
          return last.get(this) ?? (old.get as () => number | null).call(this);
        },
      }));
      return () => {
        add();
        watermark();
      };
    },
  },
  {
    name: "late-rows-dropped",
    likelySeed: 15,
    what: "rows of a pane that has been closed are left out of the state",
    install: () => {
      const closed = new WeakMap<DatasetState, Set<number>>();
      const pane = replace(DatasetState.prototype, "pane", (old) => ({
        value(this: DatasetState, number: number) {
          const intake = (old.value as DatasetState["pane"]).call(this, number);
          return closed.get(this)?.has(number) === true ? { state: intake.state, onBatch: () => undefined } : intake;
        },
      }));
      const release = replace(DatasetState.prototype, "release", (old) => ({
        value(this: DatasetState, number: number) {
          closed.set(this, (closed.get(this) ?? new Set()).add(number));
          (old.value as (pane: number) => void).call(this, number);
        },
      }));
      return () => {
        pane();
        release();
      };
    },
  },
  {
    name: "loss-not-archived",
    likelySeed: 2,
    what: "what retention removed before it was read is stepped over",
    log: (log) => ({
      ...log,
      ends: async (topic) => (await log.ends(topic)).map(({ end }) => ({ start: 0, end })),
    }),
  },
  {
    name: "checkpoint-beyond-the-frontier",
    likelySeed: 1,
    what: "a cut starts from a checkpoint that has more in it than its frontier",
    cutStore: (store, frontier) => ({
      ...store,
      get: async (key) => {
        const bytes = await store.get(key);
        if (!isCheckpoint(key)) return bytes;
        try {
          return changedCheckpoint(bytes, ({ coverage }) => {
            coverage.frontier = coverage.frontier.map((chain) => ({
              ...chain,
              end: Math.min(chain.end, endIn(frontier, chain)),
            }));
          });
        } catch {
          return bytes;
        }
      },
    }),
  },
  {
    name: "retry-without-its-offset",
    likelySeed: 8,
    what: "a retry does not say which record it takes up again",
    producerLog: (log) => ({
      ...log,
      append: (topic, partition, records, cursor) => log.append(topic, partition, records.map(withoutRetryOf), cursor),
    }),
  },
  {
    name: "segment-before-bytes",
    likelySeed: 0,
    what: "a segment is written before the bytes that it names",
    store: (store) => {
      const held: (() => Promise<unknown>)[] = [];
      return {
        ...store,
        putStream: async (key, chunks) => {
          if (!isPack(key)) return store.putStream(key, chunks);
          const parts: Uint8Array[] = [];
          for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
          const bytes = Buffer.concat(parts);
          held.push(() => store.putStream(key, [bytes]));
          return { sizeBytes: bytes.length, sha256: sha256Hex(bytes) };
        },
        putIfAbsent: async (key, bytes) => {
          const outcome = await store.putIfAbsent(key, bytes);
          if (isSegment(key)) for (const write of held.splice(0)) await write();
          return outcome;
        },
      };
    },
  },
  {
    name: "automatic-cuts-as-by-hand",
    likelySeed: 1,
    what: "versions that a trigger makes may be cut below their parent's frontier",
    automatic: false,
  },
  {
    name: "refusals-not-counted",
    likelySeed: 0,
    what: "a quarantined record is in the header's list and not in its counts",
    install: () =>
      replace(SegmentBuilder.prototype, "counts", (old) => ({
        value(this: SegmentBuilder) {
          const counts = (old.value as () => ReturnType<SegmentBuilder["counts"]>).call(this);
          return { ...counts, in: counts.in - counts.quarantined };
        },
      })),
  },
  {
    name: "ranks-what-is-not-archived",
    likelySeed: 0,
    side: "states",
    what: "the live state takes scores whose last bits are not the archived ones",
    install: () =>
      replace(LiveDatasets.prototype, "take", (old) => ({
        value(this: LiveDatasets, { header, batch }: Segment) {
          const scoredAnew = { ...batch, keys: batch.keys.map((key) => key - 2 ** -40) };
          return (old.value as (segment: Segment) => Promise<void>).call(this, { header, batch: scoredAnew });
        },
      })),
  },
  {
    name: "labels-replaced",
    likelySeed: 18,
    what: "labels are put, not created only if absent",
    store: overwriting((key) => key.startsWith("labels/")),
  },
  {
    name: "labels-beyond-what-is-said",
    likelySeed: 1,
    what: "a version heeds labels that its manifest does not tell of",
    cut: (cut) => ({
      ...cut,
      labelFrontier: cut.labelFrontier.map((one) => ({ ...one, end: Math.max(0, one.end - 1) })),
    }),
  },
  {
    name: "retracted-rows-not-replaced",
    likelySeed: 1,
    what: "where retractions have used up the reserve, the archive is not read",
    install: () =>
      replace(TopkState.prototype, "kept", () => ({
        get(this: TopkState) {
          return this.buffers.kept.map((most) => most + 1);
        },
      })),
  },
  {
    name: "run-replaced",
    likelySeed: 1,
    what: "a run's index is put, not created only if absent",
    store: overwriting(isRunIndex),
  },
  {
    name: "writer-does-not-look-at-runs",
    likelySeed: 300,
    what: "a scorer that comes late takes its segment for the chain's, where a run has another",
    install: () => replace(ChainRuns.prototype, "assertNoneBeyond", () => ({ value: () => Promise.resolve() })),
  },
  {
    name: "reader-does-not-look-again",
    likelySeed: 1,
    what: "a reader takes a segment that is missing for the chain's end, or a gap, where a run has it meanwhile",
    install: () =>
      replace(ChainRuns.prototype, "look", () => ({
        value(this: ChainRuns) {
          return this.end();
        },
      })),
  },
  {
    name: "segments-deleted-before-the-run-stands",
    likelySeed: 0,
    what: "a compactor deletes the segments of a run as its file is written, before its index is",
    store: (store) => ({
      ...store,
      putStream: async (key, chunks) => {
        const written = await store.putStream(key, chunks);
        const name = runFileName(key);
        if (name === null) return written;
        const folder = key.replace(/^runs/, "scores").replace(/rows\/.*/, "");
        for await (const segment of store.list(folder)) await store.delete(segment.key);
        return written;
      },
    }),
  },
  {
    name: "files-swept-before-their-run",
    likelySeed: 0,
    what: "a compactor deletes the files of others that no index names yet",
    store: (store) => ({
      ...store,
      putStream: async (key, chunks) => {
        const written = await store.putStream(key, chunks);
        if (runFileName(key) === null) return written;
        const folder = key.slice(0, key.lastIndexOf("/") + 1);
        for await (const other of store.list(folder)) if (other.key !== key) await store.delete(other.key);
        return written;
      },
    }),
  },
  {
    name: "boundaries-off-by-one",
    likelySeed: 0,
    what: "a run says that each of its segments ends one offset later",
    install: () =>
      replace(RunBlocksBuilder.prototype, "add", (old) => ({
        value(this: RunBlocksBuilder, header: SegmentHeader) {
          (old.value as (header: SegmentHeader) => void).call(this, { ...header, end: header.end + 1 });
        },
      })),
  },
  {
    name: "sweeps-one-segment-too-many",
    likelySeed: 0,
    what: "a compactor deletes the segment that begins where its run ends",
    store: (store) => ({
      ...store,
      putIfAbsent: async (key, bytes) => {
        const outcome = await store.putIfAbsent(key, bytes);
        if (!isRunIndex(key)) return outcome;
        const { end } = JSON.parse(Buffer.from(bytes).toString().split("\n", 1)[0]!) as RunHead;
        const folder = key.replace(/^runs/, "scores").replace(/index\/.*/, "");
        await store.delete(`${folder}${String(end).padStart(20, "0")}.arrow`);
        return outcome;
      },
    }),
  },
  {
    name: "copies-counted-as-scored",
    likelySeed: 0,
    what: "the header counts rows with copied scores among those that were scored",
    install: () =>
      replace(SegmentBuilder.prototype, "counts", (old) => ({
        value(this: SegmentBuilder) {
          const counts = (old.value as () => ReturnType<SegmentBuilder["counts"]>).call(this);
          return { ...counts, scored: counts.scored + counts.copied, copied: 0 };
        },
      })),
  },
  {
    name: "retry-with-its-own-time",
    likelySeed: 8,
    what: "a retry has the event time at which it was appended again",
    producerLog: (log) => ({
      ...log,
      append: (topic, partition, records, cursor) => log.append(topic, partition, records.map(oneMsLater), cursor),
    }),
  },
  {
    name: "claims-replaced",
    what: "claims of chains are put, not created only if absent",
    store: overwriting((key) => key.includes("/claims/")),
  },
  {
    name: "reader-repeats-a-batch",
    likelySeed: 0,
    what: "a scorer is given some records a second time",
    log: (log) =>
      readingOtherwise(log, async function* (batches) {
        let count = 0;
        for await (const batch of batches) {
          yield batch;
          if (++count % 5 === 0) yield batch;
        }
      }),
  },
  {
    name: "reader-skips-a-record",
    likelySeed: 0,
    what: "a scorer is not given the last record of some batches",
    log: (log) =>
      readingOtherwise(log, async function* (batches) {
        for await (const batch of batches)
          yield batch.records.length < 4 ? batch : { ...batch, records: batch.records.slice(0, -1) };
      }),
  },
  ...TOPIC_BUGS,
  ...UPKEEP_BUGS,
];

/** A log whose readers of images are given other batches than there are. */
function readingOtherwise(log: Log, change: (batches: AsyncIterable<LogBatch>) => AsyncIterable<LogBatch>): Log {
  return {
    ...log,
    consume: (topic, group, task, signal) =>
      log.consume(
        topic,
        group,
        (given) => task(topic === "images" ? { ...given, read: (...how) => change(given.read(...how)) } : given),
        signal,
      ),
  };
}

function oneMsLater(record: LogRecord): LogRecord {
  const { "sluice-event-time": told, ...headers } = record.headers;
  const later = told === undefined ? {} : { "sluice-event-time": String(Number(told) + 1) };
  return { ...record, headers: { ...headers, ...later }, timestampMs: record.timestampMs + 1 };
}

function withFirstTwice(rows: ChosenRows): ChosenRows {
  const digest = rows.digest.slice();
  digest.copyWithin(32, 0, 32);
  return { ...rows, digest };
}

function withoutRetryOf(record: LogRecord): LogRecord {
  const headers = Object.entries(record.headers).filter(([name]) => name !== "sluice-retry-of");
  return { ...record, headers: Object.fromEntries(headers) };
}

export function bugNamed(name: string): Bug | undefined {
  return BUGS.find((bug) => bug.name === name);
}
