import type { Terminal } from "../terminal.js";

/** How long what is left of a Kafka client may keep the process, ms */
const LINGER_MS = 2000;

/** Everything is closed; but a group's member that could not be told to leave, since it was joining, goes on trying. */
export function endsSoon(terminal: Terminal, exitCode: number): void {
  setTimeout(() => {
    terminal.exit(exitCode);
  }, LINGER_MS).unref();
}
