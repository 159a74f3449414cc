import type { Evaluation } from "./evaluation.js";
import type { PairedComparison } from "./paired-comparison.js";

/** What a model must show on the test images to take its teacher's place. */
export interface GateRule {
  /** It must be better with this confidence, in (0, 1): the exact McNemar test's p is at most what is left to 1 */
  readonly confidence: number;
  /** No class's recall may fall by more than this share */
  readonly mostClassDrop: number;
}

/** "Better with 95 % confidence, no class down by more than 5 points" */
export const DEFAULT_GATE: GateRule = { confidence: 0.95, mostClassDrop: 0.05 };

export interface GateVerdict {
  readonly passes: boolean;
  /** Why not, one sentence each; none where it passes */
  readonly reasons: readonly string[];
}

export interface GateFacts {
  readonly comparison: PairedComparison;
  readonly model: Pick<Evaluation, "recall">;
  readonly teacher: Pick<Evaluation, "recall">;
  /** Names of the classes, [C] */
  readonly labels: readonly string[];
}

/** Floats that are equal in decimals must not fail by their last bit */
const ROUNDING = 1e-9;
const CLASSES_NAMED = 5;

/** Whether a model may take its teacher's place. */
export function judgeGate({ comparison, model, teacher, labels }: GateFacts, rule: GateRule): GateVerdict {
  const reasons: string[] = [];
  const { difference, p } = comparison;
  if (difference <= 0) {
    reasons.push(
      `It is right about ${difference === 0 ? "as many test images as its teacher" : `${points(-difference)} points fewer test images than its teacher`}.`,
    );
  } else if (p > 1 - rule.confidence + ROUNDING) {
    reasons.push(
      `It is right about ${points(difference)} points more test images than its teacher, which chance alone gives with p = ${p.toPrecision(2)}: ` +
        `at most ${(1 - rule.confidence).toPrecision(2)} is asked for. More test images tell smaller differences.`,
    );
  }
  const fallen = labels
    .map((label, at) => ({ label, drop: (teacher.recall[at] ?? 0) - (model.recall[at] ?? teacher.recall[at] ?? 0) }))
    .filter(({ drop }) => drop > rule.mostClassDrop + ROUNDING)
    .sort((a, b) => b.drop - a.drop);
  if (fallen.length > 0) {
    const named = fallen.slice(0, CLASSES_NAMED).map(({ label, drop }) => `${label} by ${points(drop)}`);
    const others = fallen.length > CLASSES_NAMED ? ` and ${fallen.length - CLASSES_NAMED} more` : "";
    reasons.push(
      `Recall falls by more than ${points(rule.mostClassDrop)} points in ${fallen.length === 1 ? "a class" : "classes"}: ${named.join(", ")}${others}.`,
    );
  }
  return { passes: reasons.length === 0, reasons };
}

function points(share: number): string {
  return (share * 100).toFixed(1);
}
