import { counted } from "../../schemas/counted.js";
import type { Dataset, Window } from "../../schemas/dataset.js";
import { cronAfter, type Trigger } from "../../schemas/trigger.js";

/** What a trigger is judged by. Times in ms since the epoch. */
export interface TriggerFacts {
  readonly nowMs: number;
  /** When the last version was cut; before the first, when the process started */
  readonly sinceMs: number;
  /** Images scored since the last version, and in all */
  readonly imagesSince: number;
  readonly images: number;
  /** Images scored up to the last version */
  readonly imagesThen: number;
  /** Classes that were full in the newest version of the window; -1 where it has none */
  readonly fullThen: number;
  /** Classes of the window that have K above the floor, those that have fewer (emptiest first), and all of them */
  readonly full: number;
  readonly starving: readonly string[];
  readonly classes: number;
  /** Windows that have ended and have no version yet */
  readonly endedWindows: number;
  readonly watermarkMs: number | null;
  /** When the next window ends, by event time; null for a global window */
  readonly nextEndMs: number | null;
}

export interface Judgement {
  readonly fired: boolean;
  /** What has been reached, or what is missing: for people */
  readonly why: string;
}

/** What holds without a trigger */
const DEFAULT_TRIGGER: Trigger = { windowEnd: true };

export function triggerOf({ trigger }: Pick<Dataset, "trigger">): Trigger {
  return trigger ?? DEFAULT_TRIGGER;
}

/** Whether a dataset's trigger waits for the end of a window that does not end, so that nothing ever cuts it by itself. */
export function neverFires(dataset: Pick<Dataset, "trigger" | "window">): boolean {
  return !canFire(triggerOf(dataset), dataset.window);
}

function canFire(trigger: Trigger, window: Window): boolean {
  if ("any" in trigger) return trigger.any.some((part) => canFire(part, window));
  if ("all" in trigger) return trigger.all.every((part) => canFire(part, window));
  return !("windowEnd" in trigger) || window.kind !== "global";
}

/** Whether a trigger has fired, and why, or why not. */
export function judge(trigger: Trigger, facts: TriggerFacts): Judgement {
  if ("any" in trigger || "all" in trigger) {
    const parts = ("any" in trigger ? trigger.any : trigger.all).map((part) => judge(part, facts));
    const decisive = parts.filter(({ fired }) => fired === "any" in trigger);
    const fired = "any" in trigger ? decisive.length > 0 : decisive.length === 0;
    const said = decisive.length > 0 ? decisive : parts;
    return { fired, why: said.map(({ why }) => why).join("any" in trigger && !fired ? "; nor: " : "; ") };
  }
  if ("windowEnd" in trigger) return judgeWindowEnd(facts);
  if ("cron" in trigger) return judgeCron(trigger.cron, facts);
  if ("everyImages" in trigger) {
    return reached(facts.imagesSince, trigger.everyImages, "images since the last version");
  }
  if ("filled" in trigger) return judgeFilled(trigger.filled, facts);
  if ("perLabelled" in trigger) {
    const { labelled, ratio } = trigger.perLabelled;
    return reached(facts.images, Math.ceil(labelled * ratio), `images (${ratio} for each of ${labelled} labelled)`);
  }
  return reached(facts.nowMs - facts.sinceMs, trigger.elapsedMs, "ms since the last version");
}

function reached(found: number, wanted: number, what: string): Judgement {
  return { fired: found >= wanted, why: `${found} of ${wanted} ${what}` };
}

function judgeWindowEnd({ endedWindows, watermarkMs, nextEndMs }: TriggerFacts): Judgement {
  if (endedWindows > 0)
    return { fired: true, why: `${endedWindows} ended ${endedWindows === 1 ? "window" : "windows"}` };
  if (nextEndMs === null) return { fired: false, why: "a global window does not end" };
  const at = watermarkMs === null ? "before the first image" : `at ${new Date(watermarkMs).toISOString()}`;
  return { fired: false, why: `the window ends at ${new Date(nextEndMs).toISOString()}, the watermark is ${at}` };
}

function judgeCron(line: string, { nowMs, sinceMs }: TriggerFacts): Judgement {
  const nextMs = cronAfter(line, sinceMs);
  if (nextMs === null) return { fired: false, why: `"${line}" never fires` };
  return { fired: nextMs <= nowMs, why: `"${line}" fires at ${new Date(nextMs).toISOString()}` };
}

/** Starving classes named in a sentence */
const NAMED = 5;

/** Where a window's newest version was filled already, another one is worth while after so many more images, as a share. */
const MORE = 0.1;

function judgeFilled(share: number, facts: TriggerFacts): Judgement {
  const { full, starving, classes, fullThen, imagesThen, imagesSince } = facts;
  const wanted = Math.ceil(share * classes);
  const enough = Math.max(1, Math.ceil(MORE * imagesThen));
  if (full >= wanted && fullThen >= wanted && imagesSince < enough) {
    return {
      fired: false,
      why: `${full} of ${classes} classes full, as in the last version; ${imagesSince} of ${counted(enough, "image")} since then`,
    };
  }
  const more = starving.length > NAMED ? ` and ${starving.length - NAMED} more` : "";
  const starve = starving.length === 0 ? "" : `; starving: ${starving.slice(0, NAMED).join(", ")}${more}`;
  return { fired: full >= wanted, why: `${full} of ${wanted} classes full${full >= wanted ? "" : starve}` };
}
