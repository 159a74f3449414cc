import { SluiceError } from "../../schemas/errors.js";
import { ingestCounts, type IngestCounts } from "./ingest-counts.js";

/** What of a refused version is told. */
export interface RefusedLike {
  readonly dataset: string;
  readonly error: SluiceError;
}

/** Ends a command whose versions were refused, after all else was done. `object`: what its result would have been. */
export function throwRefused(refused: readonly RefusedLike[], counts: IngestCounts, object: object): void {
  const first = refused[0];
  if (first === undefined) return;
  // What a version without rows is refused with names that command.
  const says = !refused.some(({ error }) => error.code === "E_PUBLISH_EMPTY");
  const rest = refused.slice(1).map(({ error }) => ` ${error.message}`);
  throw new SluiceError(first.error.code, `${ingestCounts(counts, says)} ${first.error.message}${rest.join("")}`, {
    ...first.error.context,
    ...object,
  });
}
