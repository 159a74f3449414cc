import type { RebuildOptions } from "../../pipelines/rebuild.js";
import { keys } from "../../schemas/keys.js";

type GapOf<OnGap> = OnGap extends (gap: infer Found) => void ? Found : never;

/** One range that a rebuild leaves out: where, why, and how it comes back. */
export function gapText({ chain, start, end, error }: GapOf<NonNullable<RebuildOptions["onGap"]>>): string {
  const what = error.code === "E_SEGMENT_CORRUPT" ? "its segment is corrupt" : "its segment is missing";
  return (
    `left out: offsets [${start}, ${end}) of ${chain.stream}/${chain.partition}: ${what}. ` +
    `Restore ${keys.segment(chain, start)} from a copy and rebuild.`
  );
}
