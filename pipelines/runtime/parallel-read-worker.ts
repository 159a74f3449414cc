/** A thread of `parallelReader`: reads its parts of the archive into a state, and hands it over when asked. */
import { parentPort, workerData } from "node:worker_threads";
import { openFilesystemStore } from "../../connectors/store/filesystem.js";
import { SpanState } from "../../operators/pure/dataset-state.js";
import { followSegments } from "../../operators/stages/chain.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { FromReader, ReadTask } from "./parallel-read.js";

const { folder, parts, options, span, depth } = workerData as ReadTask;
const say = (message: FromReader, moved: ArrayBuffer[] = []): void => parentPort?.postMessage(message, moved);
const state = new SpanState(
  options,
  span,
  {
    frontier: parts.map(({ chain, from }) => ({ partition: chain.partition, origin: chain.origin, end: from })),
    records: { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 },
    engines: [],
    firstMs: null,
    lastMs: null,
  },
  depth,
);

parentPort?.on("message", () => {
  for (const chunk of state.topk.snapshotChunks()) {
    const copy = chunk.slice();
    say({ type: "chunk", chunk: copy }, [copy.buffer]);
  }
  say({ type: "chunk", chunk: null });
});

const store = await openFilesystemStore(folder);
try {
  for (const { chain, from, until } of parts) {
    for await (const segment of followSegments(store, chain, from, until)) {
      state.apply(segment);
      say({ type: "segment" });
    }
  }
  say({ type: "covered", coverage: state.coverage.value });
} catch (error) {
  if (!isSluiceError(error)) throw error;
  say({ type: "covered", coverage: null });
} finally {
  await store.close();
}
