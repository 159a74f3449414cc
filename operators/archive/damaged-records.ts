import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { Gap } from "./chain-reader.js";
import type { ChainRuns } from "./chain-runs.js";
import { isGroupLost, rangeOf } from "./group-reader.js";
import { assertWhole } from "./run-rows.js";

/** Row groups of [from, until), below the runs' end, whose rows' records are damaged: who reads whole groups does not see it. */
export async function* damagedRecords(
  store: Store,
  runs: ChainRuns,
  from: number,
  until: number,
): AsyncGenerator<Gap, void, undefined> {
  const losses = await runs.losses();
  for (let at = from; at < until;) {
    const lost = losses.at(at);
    if (lost !== null) {
      at = lost.end;
      continue;
    }
    try {
      const index = await runs.indexAt(at);
      for (let group = 0; group < index.rowGroups.length; group++) {
        const range = rangeOf(index, group);
        if (range.end <= from || range.start >= until || isGroupLost(index, group, losses)) continue;
        try {
          await assertWhole(store, index.group(group), range);
        } catch (error) {
          // Who reads the rows says that their file is gone, or a run of a higher level has taken its place.
          if (isSluiceError(error, "E_STORE_MISSING")) continue;
          if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
          yield { start: range.start, end: range.end, error };
        }
      }
      at = index.end;
    } catch (error) {
      // The index itself is damaged: its reader tells of that.
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
      at = (await runs.standingAt(at)).end;
    }
  }
}
