import { Option } from "commander";
import { durationArgument } from "./duration-argument.js";

/** `for`: what may be away as the command starts */
export function waitOption(awaited: string): Option {
  return new Option("--wait <duration>", `wait so long for ${awaited} that are away at the start`)
    .argParser(durationArgument)
    .default(300_000, "5m");
}
