import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import type { Writable } from "node:stream";
import type { Measures } from "./harness.js";

const SAMPLE_MS = 20;

/**
 * Runs a command whose last line of output is a JSON object of measures, and adds `peakAnonBytes`: the greatest sum of
 * RssAnon over the process and its children, sampled every 20 ms. The measure is left out where /proc is missing.
 * Throws with the end of what the command wrote if it fails. `onLine` is given what it writes to standard error, and can write to its input.
 */
export async function measureProcess(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  onLine?: (line: string, input: Writable) => void,
): Promise<Measures> {
  const child = spawn(command, args, { stdio: "pipe", env: { ...process.env, ...env } });
  if (onLine === undefined) child.stdin.end();
  let output = "";
  let complaints = "";
  /** Up to where `onLine` has been given them */
  let told = 0;
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    complaints += chunk.toString();
    for (let end = complaints.indexOf("\n", told); end >= 0; end = complaints.indexOf("\n", told)) {
      onLine?.(complaints.slice(told, end), child.stdin);
      told = end + 1;
    }
  });
  let peak = 0;
  const sampling = setInterval(() => {
    if (child.pid !== undefined) peak = Math.max(peak, anonBytes(child.pid));
  }, SAMPLE_MS);
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject).on("close", resolve);
    });
    if (status !== 0) {
      throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${complaints.slice(-2000)}`);
    }
  } finally {
    clearInterval(sampling);
  }
  const measures = JSON.parse(output.trim().split("\n").at(-1) ?? "") as Measures;
  return peak === 0 ? measures : { ...measures, peakAnonBytes: peak };
}

/** RssAnon of a process and everything that it started, in bytes; 0 where it cannot be read. */
export function anonBytes(pid: number): number {
  try {
    const own = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    let sum = 1024 * Number(own ?? 0);
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim();
      for (const child of children === "" ? [] : children.split(" ")) sum += anonBytes(Number(child));
    }
    return sum;
  } catch {
    // It ended between two reads.
    return 0;
  }
}
