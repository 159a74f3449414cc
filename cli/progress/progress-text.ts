import type { ProgressEvent } from "../../schemas/progress.js";
import { countText } from "../../schemas/counted.js";
import { bytesText, durationText } from "../wording.js";

/** A progress event with what its reporter worked out. */
export interface ProgressView {
  readonly event: ProgressEvent;
  /** items a second; null before it is known */
  readonly perSecond: number | null;
  /** ms until the total is reached; null where nobody can tell */
  readonly remainingMs: number | null;
}

const BAR_WIDTH = 24;

/** Three lines: how far, what became of the images, how full the classes are (empty before that is known). */
export function progressBlock({ event, perSecond, remainingMs }: ProgressView): [string, string, string] {
  const { done, total } = event;
  const share = total === null || total === 0 ? null : Math.min(1, done / total);
  const far = [
    share === null ? countText(done) : `${barText(share)} ${percentText(share)}`,
    share === null ? "" : `${countText(done)} of ${countText(total!)}`,
    rateText(perSecond),
    remainingMs === null ? "" : `${durationText(remainingMs)} left`,
    event.bytesPerS === undefined ? "" : `${bytesText(event.bytesPerS)}/s`,
  ];
  const { fill } = event;
  return [
    `${event.phase.padEnd(8)} ${joined(far, "  ")}`,
    `${"".padEnd(8)} ${countsText(event, "  ")}`,
    fill === undefined
      ? ""
      : `${"classes".padEnd(8)} ${barText(fill.classes === 0 ? 0 : fill.full / fill.classes)} ${fillText(event)}`,
  ];
}

/** One line, for logs: `score 13,021 of 30,000 (43 %), 214/s, 1 min 19 s left; scored 12,800, …; 7 of 10 classes full`. */
export function progressLine({ event, perSecond, remainingMs }: ProgressView): string {
  const { done, total } = event;
  const far =
    total === null
      ? countText(done)
      : `${countText(done)} of ${countText(total)} (${percentText(total === 0 ? 1 : Math.min(1, done / total)).trim()})`;
  const pace = [
    `${event.phase} ${far}`,
    rateText(perSecond),
    remainingMs === null || done === total ? "" : `${durationText(remainingMs)} left`,
    event.bytesPerS === undefined ? "" : `${bytesText(event.bytesPerS)}/s`,
  ];
  return joined([joined(pace, ", "), countsText(event, ", "), fillText(event)], "; ");
}

function countsText(event: ProgressEvent, separator: string): string {
  const { scored, copied, kept, quarantined } = event;
  // Without a checkpoint nobody knows what is kept: of 0 nothing is said.
  const hasImages = scored + copied + quarantined > 0;
  return joined(
    [
      hasImages ? `scored ${countText(scored)}` : "",
      copied === 0 ? "" : `copied ${countText(copied)}`,
      kept === 0 ? "" : `kept ${countText(kept)}`,
      hasImages ? `quarantined ${countText(quarantined)}` : "",
      event.loss === undefined ? "" : `loss ${event.loss.toPrecision(3)}`,
      event.accuracy === undefined ? "" : `right ${(event.accuracy * 100).toFixed(1)} %`,
    ],
    separator,
  );
}

function fillText({ fill }: ProgressEvent): string {
  return fill === undefined ? "" : `${countText(fill.full)} of ${countText(fill.classes)} classes full`;
}

function rateText(perSecond: number | null): string {
  if (perSecond === null || perSecond === 0) return "";
  return `${perSecond >= 10 ? countText(perSecond) : perSecond.toFixed(1)}/s`;
}

/** Rounded down: 100 % is said when it is done, not before. */
const percentText = (share: number): string => `${String(Math.floor(share * 100)).padStart(3)} %`;

function barText(share: number): string {
  const filled = Math.round(share * BAR_WIDTH);
  return `[${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)}]`;
}

function joined(parts: readonly string[], separator: string): string {
  return parts.filter((part) => part !== "").join(separator);
}
