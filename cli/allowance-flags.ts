import type { Command } from "commander";
import type { Allowance } from "../schemas/allowance.js";

/** Flags that let a command publish what nobody could want. */
export interface AllowanceFlags {
  readonly allowEmpty?: true;
  readonly allowAbsentBytes?: true;
  readonly allowStarving?: true;
}

export function declareAllowanceFlags(command: Command): Command {
  return command
    .option("--allow-empty", "publish a version even if it has no rows")
    .option("--allow-absent-bytes", "publish rows even if nothing has their images' bytes any more")
    .option(
      "--allow-starving",
      "publish even if every class is short of K and has every image (P at or above the classes)",
    );
}

export function allowanceOf({ allowEmpty, allowAbsentBytes, allowStarving }: AllowanceFlags): Allowance {
  return { empty: allowEmpty === true, absentBytes: allowAbsentBytes === true, starving: allowStarving === true };
}
