import type { Store } from "../../connectors/store/store.js";
import { cut as cutOperator } from "../../operators/state/cut.js";
import type { ClassNames } from "../../schemas/class-names.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import type { Dataset } from "../../schemas/dataset.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { memoryLimit } from "../flow/memory-estimate.js";
import { rebuildPlace } from "../versions/rebuild-place.js";

/** The cut that a rebuild of a dataset would publish now, for its rows alone: nothing is written. */
export async function cut(
  store: Store,
  dataset: Dataset,
  card: ModelCard & ClassNames,
  stream: string,
  signal: AbortSignal,
): Promise<Cut> {
  const place = await rebuildPlace(store, { teacher: teacherDigest(card), stream }, dataset, {}, {});
  return cutOperator({
    store,
    dataset,
    card,
    stream,
    ...place,
    trigger: "what-if",
    // The other half is for rankings that are held.
    maxStateBytes: memoryLimit() / 2,
    onSegment: () => {
      throwIfStopped(signal, "Nobody waits for the rows any more.");
    },
  });
}
