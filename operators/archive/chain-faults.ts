import { SluiceError } from "../../schemas/errors.js";
import { repairsOf } from "../../schemas/damage-repairs.js";
import { keys, type ChainName } from "../../schemas/keys.js";

/** What is said of a chain that cannot be read on: which offsets, in which object, and how to repair it. */

export function notABoundary(
  { stream, partition }: ChainName,
  wanted: number,
  start: number,
  end: number,
): SluiceError {
  return new SluiceError(
    "E_CHAIN_CONFLICT",
    `Expected a segment of ${stream}/${partition} to end at ${wanted}, found [${start}, ${end}). ` +
      "The frontier is not a segment boundary of this chain.",
  );
}

/** `more`: whether segments follow; else the archive ends before it should. */
export function gapError(chain: ChainName, start: number, end: number, more: boolean): SluiceError {
  const behind = more ? `the next one at ${end}` : `nothing behind it, although it was archived up to ${end}`;
  return new SluiceError(
    "E_CHAIN_GAP",
    `Expected a segment of ${chain.stream}/${chain.partition} at offset ${start}, found none at ${keys.segment(chain, start)}, and ${behind}. ` +
      repairsOf(keys.segment(chain, start)),
    { start, end, key: keys.segment(chain, start) },
  );
}

/** The same error with its offsets; `end` is null where no segment follows. */
export function corruptError(chain: ChainName, start: number, end: number | null, cause: SluiceError): SluiceError {
  const range = end === null ? `from ${start} on` : `[${start}, ${end})`;
  const key = cause.context["key"] ?? keys.segment(chain, start);
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `${cause.message} Offsets ${range} of ${chain.stream}/${chain.partition} are in it.`,
    { cause, start, end, key },
  );
}
