import type { Command } from "commander";
import type { Invocation } from "./invocation.js";

/**
 * Adds a command's arguments, options, help and action. An action takes the running invocation when it is called, and
 * imports the pipelines that it needs itself: `--help` loads none of them.
 */
export type DeclareCommand = (command: Command, invocation: () => Invocation) => void;

/** Examples for the end of a help page: what one types, and what it does. */
export function exampleText(examples: readonly (readonly [line: string, does: string])[]): string {
  return `\nExamples:\n${examples.map(([line, does]) => `  $ ${line}\n      ${does}`).join("\n")}`;
}
