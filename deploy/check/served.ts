import { Writable } from "node:stream";
import { runProgram } from "../../cli/program.js";
import { processTerminal } from "../../cli/terminal.js";

/** Where a process answers that is asked how it is, and where the console listens by default. */
export const SERVED = { metricsPaths: ["/metrics", "/healthz", "/readyz"], consolePort: 4747 };

const helps = new Map<string, Promise<string | null>>();

/** What `sluice <command> --help` prints; null where there is no such command. */
export function sluiceHelp(command: readonly string[]): Promise<string | null> {
  const name = command.join(" ");
  const help = helps.get(name) ?? askForHelp(command);
  helps.set(name, help);
  return help;
}

async function askForHelp(command: readonly string[]): Promise<string | null> {
  let text = "";
  const stdout = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  await runProgram([...command, "--help"], { ...processTerminal(), stdout, stderr: stdout });
  // Of a command without that subcommand, its own help is printed.
  return text.includes(`Usage: sluice ${command.join(" ")} `) ? text : null;
}
