import { stageAdvice } from "../../schemas/stage-advice.js";
import type { StageShares } from "../../schemas/stage-shares.js";
import { durationText } from "../wording.js";

/** Two lines: the shares, and of a run that was long enough what to add. None where no time has passed. */
export function stageSharesText(stages: StageShares): string[] {
  const { fromMs, untilMs, shares, limits } = stages;
  if (limits === null) return [];
  const parts = Object.entries(shares).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
  const advice = stageAdvice(stages);
  return [
    `Stages busy over ${durationText(untilMs - fromMs)}: ${parts.join(", ")}.`,
    ...(advice === null ? [] : [`  ${advice}`]),
  ];
}
