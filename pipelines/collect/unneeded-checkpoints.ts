import type { Store, StoredObject } from "../../connectors/store/store.js";

const CHECKPOINTS = "checkpoints/";

/** Objects of states that nothing declared is made of. A cache of the archive: a cut that would need one reads that. */
export async function* unneededCheckpoints(
  store: Store,
  parameters: ReadonlySet<string>,
): AsyncGenerator<StoredObject, void, undefined> {
  // Where nothing is declared nothing says what may go.
  if (parameters.size === 0) return;
  for await (const object of store.list(CHECKPOINTS)) {
    const [, state = ""] = object.key.split("/");
    if (!parameters.has(state)) yield object;
  }
}
