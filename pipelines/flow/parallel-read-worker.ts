/** A thread of `parallelReader`: reads its parts of the archive, ranks its classes, and hands them over when asked. */
import { parentPort, workerData } from "node:worker_threads";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { SpanState } from "../../operators/topk/dataset-state.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { isSluiceError } from "../../schemas/errors.js";
import { CandidateExchange } from "./candidate-exchange.js";
import { SharedThresholds } from "./shared-thresholds.js";
import type { FromReader, ReadTask } from "./parallel-read.js";

const { folder, parts, options, span, depth, index, exchange: memory, thresholds } = workerData as ReadTask;
const say = (message: FromReader, moved: ArrayBuffer[] = []): void => parentPort?.postMessage(message, moved);
const exchange = new CandidateExchange(memory, index);
const shared = new SharedThresholds(thresholds);
const known = new Float64Array(thresholds.byteLength / 4);
const owned = Array.from(known, (_, classIndex) => classIndex).filter((classIndex) => exchange.owns(classIndex));
const refuse = (): never => {
  throw new Error("candidates are finite, and topk emits nothing");
};
const state = new SpanState(
  options,
  span,
  {
    frontier: parts.map(({ chain, from }) => ({ partition: chain.partition, origin: chain.origin, end: from })),
    counts: parts.map(() => ({ in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 })),
    engines: [],
    lastMs: null,
  },
  depth,
  {
    thresholds: known,
    give: (batch) => {
      exchange.give(batch);
    },
  },
);

parentPort?.on("message", () => {
  for (const chunk of state.topk.snapshotChunks()) {
    const copy = chunk.slice();
    say({ type: "chunk", chunk: copy }, [copy.buffer]);
  }
  say({ type: "chunk", chunk: null });
});

const store = await openFilesystemStore(folder);
exchange.begin((batch) => {
  state.topk.onBatch(batch, { emit: refuse, reject: refuse });
  shared.publish(state.topk.thresholds, owned);
});
try {
  const archive = new ArchiveReader(store, options);
  for (const { chain, from, until } of parts) {
    for await (const segment of archive.segments(chain, from, until)) {
      shared.read(known);
      state.apply(segment);
      exchange.takeSent();
      say({ type: "segment" });
    }
  }
  exchange.end();
  say({ type: "covered", coverage: state.coverage.value });
} catch (error) {
  if (!isSluiceError(error)) throw error;
  say({ type: "covered", coverage: null });
} finally {
  await store.close();
}
