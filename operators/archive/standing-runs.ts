import { z } from "zod";
import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";

/** A run that is read for its offsets: none of a higher level has them. */
export interface StandingRun {
  /** Offsets [start, end) */
  readonly start: number;
  readonly level: number;
  readonly end: number;
}

const count = z.int().nonnegative();

/**
 * Which runs of a chain stood when a compactor was done, so that a reader need not list all that were ever made. It decides nothing: what
 * came since is found by looking on from its end, and a run that a higher one has replaced says so. It may be deleted.
 */
const standingSchema = z.strictObject({
  schemaVersion: z.literal(1),
  end: count,
  /** Start and level of each, in order */
  runs: z.array(z.tuple([count, count])),
});

/** null where nothing was written down, or what was is damaged: then they are listed. */
export async function readStandingRuns(store: Store, chain: ChainName): Promise<readonly StandingRun[] | null> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(keys.standingRuns(chain));
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return null;
    throw error;
  }
  const { data } = standingSchema.safeParse(openedOrNull(bytes));
  if (data === undefined) return null;
  return data.runs.map(([start, level], at) => ({ start, level, end: data.runs[at + 1]?.[0] ?? data.end }));
}

/** null where the checksum is another. */
function openedOrNull(bytes: Uint8Array): unknown {
  try {
    return openSealedJson(bytes);
  } catch (error) {
    // Not as it was written, whatever it is now.
    if (error instanceof TypeError || error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

export async function writeStandingRuns(
  store: Store,
  chain: ChainName,
  standing: readonly StandingRun[],
): Promise<void> {
  const runs = standing.map(({ start, level }): [number, number] => [start, level]);
  const end = standing.at(-1)?.end ?? chain.origin;
  await store.put(keys.standingRuns(chain), sealJson({ schemaVersion: 1, end, runs }));
}
