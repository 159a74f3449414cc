#!/usr/bin/env node
import { failureForm, reportFailure } from "./failure.js";
import { runProgram } from "./program.js";
import { processTerminal } from "./terminal.js";

const args = process.argv.slice(2);
const terminal = processTerminal();

// `sluice versions list | head` closes the pipe early; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
// A promise that nobody awaits, or an event nobody catches: a fault of ours, reported like any other.
process.on("uncaughtException", (error) => {
  process.exit(reportFailure(error, terminal, failureForm(args)));
});

process.exitCode = await runProgram(args, terminal);
