// What tries one target's inputs: `node fuzz-child.js <target> <seed> <folder> <ms> [file]`. The input of the moment lies in <folder>/current, so
// that a process that dies has named it.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { isSluiceError, messageOf } from "../../schemas/errors.js";
import { uniform } from "../fixtures/seeded-weights.js";
import type { Prepared } from "./fuzz-target.js";
import { TARGETS } from "./targets/all-targets.js";

/** What the parent is told, by IPC */
export type Told =
  | { readonly type: "ready" }
  | { readonly type: "tries"; readonly tries: number; readonly taken: number }
  | {
      readonly type: "finding";
      readonly kind: "error" | "hang" | "memory";
      readonly said: string;
      readonly tryNumber: number;
      /** Base64 */
      readonly input: string;
    };

/** An input that has not been judged by then hangs. Two loaded cores take a second for what takes a tenth. */
const HANG_MS = 20_000;
/** Above what is used before the first try. Bombs have a bound long before. */
const MOST_GROWTH_BYTES = 1024 ** 3;
/** Tries that make a finding's input smaller */
const MOST_SMALLER = 400;
const SMALLER_MS = 10_000;
/** Of one target and run: a fault that shows in every other input needs no more of them */
const MOST_FINDINGS = 5;

const tell = (told: Told): void => {
  process.send?.(told);
};

/** What is wrong with an input, or that it was taken or refused. Never throws. */
async function faultOf(
  prepared: Prepared,
  input: Uint8Array,
): Promise<{ said: string; kind: "error" | "hang" } | "taken" | "refused"> {
  const late = Symbol("late");
  let timer: NodeJS.Timeout | undefined;
  const wait = new Promise<typeof late>((done) => {
    timer = setTimeout(() => {
      done(late);
    }, HANG_MS);
  });
  try {
    const ended = await Promise.race([prepared.run(input), wait]);
    return ended === late ? { kind: "hang", said: `no answer in ${HANG_MS / 1000} s` } : "taken";
  } catch (error) {
    if (isSluiceError(error) && error.code !== "E_INTERNAL") return "refused";
    const cause = error instanceof Error && error.cause !== undefined ? `; caused by ${stackOf(error.cause)}` : "";
    return { kind: "error", said: `${stackOf(error)}${cause}` };
  } finally {
    clearTimeout(timer);
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined
    ? error.stack.split("\n").slice(0, 6).join("\n")
    : messageOf(error);
}

/** Tells one fault from another: its first line without numbers, and where it was thrown. */
function signature(said: string): string {
  const [first = "", place = ""] = said.split("\n");
  return `${first.replace(/[0-9a-f]{6,}|\d+/g, "#").slice(0, 120)} ${place.trim()}`;
}

/** Leaves out what the fault does not need, by halves, quarters and so on. */
async function smaller(prepared: Prepared, input: Uint8Array, said: string): Promise<Uint8Array> {
  const wanted = signature(said);
  const until = Date.now() + SMALLER_MS;
  let least = input;
  let left = MOST_SMALLER;
  for (let pieces = 2; pieces <= 2 * least.length && left > 0 && Date.now() < until;) {
    const size = Math.ceil(least.length / pieces);
    let found = false;
    for (let at = 0; at < least.length && left-- > 0 && Date.now() < until; at += size) {
      const candidate = Buffer.concat([least.subarray(0, at), least.subarray(at + size)]);
      const fault = await faultOf(prepared, candidate);
      if (typeof fault === "object" && fault.kind === "error" && signature(fault.said) === wanted) {
        least = candidate;
        found = true;
        break;
      }
    }
    if (!found) pieces *= 2;
  }
  return least;
}

function seedOf(target: string, seed: number, tryNumber: number): number {
  return createHash("sha256").update(`${target} ${seed} ${tryNumber}`).digest().readInt32LE(0);
}

async function main(): Promise<void> {
  const [name, seedText, folder = "", msText, file] = process.argv.slice(2);
  const target = TARGETS.find((one) => one.name === name)!;
  const own = join(folder, "inside");
  await mkdir(own, { recursive: true });
  const prepared = await target.prepare(own);
  const current = join(folder, "current");
  tell({ type: "ready" });
  const seen = new Set<string>();
  let taken = 0;
  let tries = 0;
  let toldAt = 0;
  const base = process.memoryUsage.rss();
  const until = Date.now() + Number(msText);
  for (; file === undefined ? Date.now() < until && seen.size < MOST_FINDINGS : tries === 0; tries++) {
    const input =
      file === undefined
        ? await prepared.make(uniform(seedOf(target.name, Number(seedText), tries)))
        : readFileSync(file);
    writeFileSync(current, input);
    const fault = await faultOf(prepared, input);
    if (fault === "taken") taken++;
    const grown = process.memoryUsage.rss() - base;
    const found =
      typeof fault === "object"
        ? fault
        : grown > MOST_GROWTH_BYTES
          ? { kind: "memory" as const, said: `grew by ${grown} bytes` }
          : null;
    if (found !== null && !seen.has(signature(found.said))) {
      seen.add(signature(found.said));
      const least = found.kind === "error" && file === undefined ? await smaller(prepared, input, found.said) : input;
      tell({ type: "finding", ...found, tryNumber: tries, input: Buffer.from(least).toString("base64") });
      // What hangs, or has taken the memory, goes on doing so in this process.
      if (found.kind !== "error") break;
    }
    if (Date.now() - toldAt > 500) {
      toldAt = Date.now();
      tell({ type: "tries", tries: tries + 1, taken });
      // Work without a wait would not let the message go.
      await new Promise((done) => setImmediate(done));
    }
  }
  tell({ type: "tries", tries, taken });
  await prepared.close?.();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${stackOf(error)}\n`);
    process.exit(3);
  },
);
