import type { MeanInterval } from "../../operators/training/student-interval.js";
import { percentText, type StudyRow } from "../../pipelines/study/study-summary.js";
import type { PartResults } from "./results.js";

/** What the paper found, and what is found here. */
export interface Claim {
  readonly claim: string;
  readonly paper: string;
  readonly here: string;
  readonly verdict: string;
}

/** Fewer seeds than these say too little for a yes or a no */
const LEAST_SEEDS = 3;
const NOT_MEASURED = "not measured yet";

/** Each claim, judged by the rows that are there. */
export function claims(parts: readonly PartResults[]): Claim[] {
  const rowsOf = (name: string): readonly StudyRow[] => parts.find((part) => part.name === name)?.rows ?? [];
  const row = (part: string, label: string): StudyRow | undefined => rowsOf(part).find((one) => one.label === label);
  return [
    gainClaim(
      "A student gains by the version, K chosen without test images: at least 5 points at 100 labels, the interval above 3",
      "R50 76.4 → 79.1",
      row("100 labels, K by what-if", "K by what-if, fine-tuned")?.gain,
      ({ mean, halfWidth }) => mean >= 0.05 && mean - halfWidth > 0.03,
    ),
    gainClaim(
      "It gains at K = 800, 13 % of |U|",
      "R50 76.4 → 79.1",
      row("100 labels", "800, fine-tuned")?.gain,
      ({ mean, halfWidth }) => mean - halfWidth > 0,
    ),
    gainClaim(
      "It gains at 1,000 labels, K chosen without test images",
      "R50 76.4 → 79.1",
      row("1,000 labels, K by what-if", "K by what-if, fine-tuned")?.gain,
      ({ mean, halfWidth }) => mean - halfWidth > 0,
    ),
    optimumClaim("K has an optimum inside of the grid", "1k 77.1, 8k 79.1, 64k 78.1", rowsOf("K")),
    optimumClaim("So has K of a stronger teacher, further out", "a larger K", rowsOf("K of the stronger teacher")),
    pairClaim(
      "Self-training gains less",
      "R50 77.6 against 79.1",
      row("self-training", "self-trained, fine-tuned"),
      row("self-training", "800, fine-tuned"),
    ),
    pairClaim(
      "Unbalanced is worse than balanced",
      "78.4 against 79.2",
      row("balance", "800, unbalanced, fine-tuned"),
      row("balance", "800, balanced, fine-tuned"),
    ),
    pairClaim(
      "Random is worse than ranked",
      "76.8 (by tags) against 79.2",
      row("ranking", "800, at random, fine-tuned"),
      row("ranking", "800, ranked, fine-tuned"),
    ),
    pairClaim(
      "Fewer unlabelled images are worse",
      "3 % 73.8 against 79.1",
      row("share of the unlabelled images", "0.03, of the images, fine-tuned"),
      row("share of the unlabelled images", "1, of the images, fine-tuned"),
    ),
  ];
}

function gainClaim(
  claim: string,
  paper: string,
  gain: MeanInterval | null | undefined,
  holds: (gain: MeanInterval) => boolean,
): Claim {
  if (gain == null) return { claim, paper, here: "", verdict: NOT_MEASURED };
  const here = `${percentText(gain, true)} points, ${gain.count} of the seeds`;
  if (gain.count < LEAST_SEEDS) return { claim, paper, here, verdict: "too few seeds to say" };
  return { claim, paper, here, verdict: holds(gain) ? "yes" : "no" };
}

/** Whether `worse` is worse than `better`, by their gains over the same baseline; a difference within an interval is said to be so. */
function pairClaim(claim: string, paper: string, worse: StudyRow | undefined, better: StudyRow | undefined): Claim {
  if (worse?.gain == null || better?.gain == null) return { claim, paper, here: "", verdict: NOT_MEASURED };
  const here = `${percentText(worse.accuracy)} against ${percentText(better.accuracy)}`;
  const seeds = Math.min(worse.gain.count, better.gain.count);
  if (seeds < LEAST_SEEDS) return { claim, paper, here, verdict: "too few seeds to say" };
  const apart = better.gain.mean - worse.gain.mean;
  if (Math.abs(apart) < Math.max(worse.gain.halfWidth, better.gain.halfWidth))
    return { claim, paper, here, verdict: "within the intervals" };
  return { claim, paper, here, verdict: apart > 0 ? "yes" : "no" };
}

function optimumClaim(claim: string, paper: string, rows: readonly StudyRow[]): Claim {
  const tuned = rows
    .filter((row) => row.series === "fine-tuned" && row.accuracy !== null)
    .toSorted((a, b) => Number(a.x) - Number(b.x));
  if (tuned.length < 3) return { claim, paper, here: "", verdict: NOT_MEASURED };
  const best = tuned.reduce((one, other) => (other.accuracy!.mean > one.accuracy!.mean ? other : one));
  const here = tuned.map(({ x, accuracy }) => `${String(x)}: ${percentText(accuracy)}`).join(", ");
  if (tuned.some(({ accuracy }) => accuracy!.count < LEAST_SEEDS))
    return { claim, paper, here, verdict: "too few seeds to say" };
  const isInside = best !== tuned[0] && best !== tuned.at(-1);
  return { claim, paper, here, verdict: isInside ? "yes" : "no" };
}
