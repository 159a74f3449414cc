import type { Command } from "commander";
import type { GateRule } from "../pipelines/training/evaluate-model.js";
import { confidenceArgument, pointsArgument } from "./number-argument.js";

export interface GateFlags {
  readonly confidence: number;
  readonly classDrop: number;
}

/** The rule by which a model may take its teacher's place. */
export function declareGateFlags(command: Command): Command {
  return command
    .option("--confidence <share>", "with which it must be better than the teacher", confidenceArgument, 0.95)
    .option("--class-drop <points>", "by which the recall of no class may fall", pointsArgument, 5);
}

export function gateRule({ confidence, classDrop }: GateFlags): GateRule {
  return { confidence, mostClassDrop: classDrop / 100 };
}
