import { randomUUID } from "node:crypto";
import type { Store } from "../../connectors/store/store.js";
import { withPin } from "../../operators/archive/pins.js";
import type { Archive } from "../../operators/archive/archive-reader.js";

export interface PinClock {
  /** By default the machine's clock */
  readonly nowMs?: (() => number) | undefined;
  /** Another one at each call, [a-z0-9-]+; by default random */
  readonly newId?: (() => string) | undefined;
}

/** Reads an archive for long, for what `by` names: nothing that it may read is swept meanwhile. */
export function pinned<T>(
  store: Store,
  { teacher, stream }: Archive,
  by: "cut" | "whatif" | "replay" | "verify" | "repair" | "export",
  { nowMs = Date.now, newId = randomUUID }: PinClock,
  work: () => Promise<T>,
): Promise<T> {
  return withPin(store, { teacher, stream }, { name: `${by}-${newId()}`, nowMs }, work);
}
