#!/usr/bin/env node
import "./start-up-signals.js";
import { failureForm, reportFailure } from "./failure.js";
import { processTerminal } from "./terminal.js";

const args = process.argv.slice(2);
const terminal = processTerminal();

// `sluice versions list | head` closes the pipe early; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
// Nobody reads the progress any more (`2>&1 | head`): the work goes on.
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
// A promise that nobody awaits, or an event nobody catches: a fault of ours, reported like any other.
process.on("uncaughtException", (error) => {
  process.exit(reportFailure(error, terminal, failureForm(args)));
});

// Loaded here, so that what keeps it from loading (no more file handles) is reported as well.
try {
  const { runProgram } = await import("./program.js");
  process.exitCode = await runProgram(args, terminal);
} catch (error) {
  process.exitCode = reportFailure(error, terminal, failureForm(args));
}
