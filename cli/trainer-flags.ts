import { Option, type Command } from "commander";
import { durationArgument } from "./duration-argument.js";

export interface TrainerFlags {
  readonly command?: string;
  readonly trainingConfig?: string;
  /** ms */
  readonly silentAfter: number;
}

/** A program that trains in the place of the built-in trainer. */
export function declareTrainerFlags(command: Command): Command {
  return command
    .option("--command <line>", "train by this program instead (docs/loop.md says what it reads and writes)")
    .option("--training-config <file>", "JSON for that program")
    .addOption(
      new Option("--silent-after <duration>", "without a line for so long that program is taken to hang")
        .argParser(durationArgument)
        .default(3_600_000, "1h"),
    );
}
