import { INDEX_COLUMNS } from "./index-row.js";

/** `changed`: in both versions, with another value in one of the columns but `shard`. */
export const DELTA_CHANGES = ["entered", "left", "changed"] as const;
export type DeltaChange = (typeof DELTA_CHANGES)[number];

/** Ranks move with every row that comes; repeats are rows of their class again. Who applies a delta numbers rows anew. */
const NOT_IN_DELTAS: ReadonlySet<string> = new Set(["rank", "repeat"]);

type IndexColumn = (typeof INDEX_COLUMNS)[number];
export type DeltaColumn = Exclude<IndexColumn, { readonly name: "rank" | "repeat" }>;

/** Columns of a delta behind `change`, `reason` and `because`: an index's, as the row is after the change, or was before it left. */
export const DELTA_COLUMNS = INDEX_COLUMNS.filter(({ name }) => !NOT_IN_DELTAS.has(name)) as readonly DeltaColumn[];
