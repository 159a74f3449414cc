import { InvalidArgumentError } from "commander";
import { cronAfter } from "../schemas/trigger.js";

/** Throws commander's error where a line is no cron line, or one that never fires. */
export function cronArgument(line: string): string {
  try {
    if (cronAfter(line, 0) !== null) return line;
  } catch {
    throw new InvalidArgumentError("Expected a cron line (minute hour day month weekday), such as 0 3 * * *.");
  }
  throw new InvalidArgumentError("Expected a cron line that fires, found one that never does.");
}
