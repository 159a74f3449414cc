import type { Store } from "../connectors/store/store.js";
import { assertKnownFormat, STORE_FORMAT } from "../operators/archive/store-format.js";

export interface Migrated {
  /** What the store has now */
  readonly format: number;
  readonly newest: number;
  /** Formats that it was brought through; this release knows one alone */
  readonly migrated: readonly number[];
}

/** Brings a store to the newest format. Throws E_STORE_NEWER. */
export async function migrate(store: Store): Promise<Migrated> {
  return { format: await assertKnownFormat(store), newest: STORE_FORMAT, migrated: [] };
}
