import type { Command } from "commander";
import { buildProgram } from "../program.js";
import { processTerminal } from "../terminal.js";

/** docs/commands.md: the help of every command, as the command line prints it. */
export async function commandsPage(): Promise<string> {
  const program = await buildProgram(processTerminal(), "all", () => {
    throw new Error("the page of commands runs none of them");
  });
  return [
    "<!-- Printed from cli/ by `npm run schema`: change it there. -->",
    "",
    "# Commands",
    "",
    "Every command takes the options listed under Global Options; they are printed once, here at the top.",
    "",
    ...section(program, "sluice"),
  ].join("\n");
}

function section(command: Command, name: string): string[] {
  const help = command
    .configureHelp({ helpWidth: 100, showGlobalOptions: false })
    .configureOutput({ getOutHelpWidth: () => 100 });
  const text: string[] = [];
  help.configureOutput({ writeOut: (part) => text.push(part) });
  help.outputHelp();
  return [
    `## ${name}`,
    "",
    "```text",
    text.join("").trimEnd(),
    "```",
    "",
    ...command.commands
      .filter((inner) => inner.name() !== "help")
      .flatMap((inner) => section(inner, `${name} ${inner.name()}`)),
  ];
}
