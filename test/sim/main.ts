import { parseArgs } from "node:util";
import { BUGS, bugNamed } from "./bugs.js";
import { findBug, SEEDS_A_BUG } from "./find-bug.js";
import { simulate, type SeedOutcome } from "./simulate.js";

const USAGE = `npm run sim -- [--seeds N] [--seed S] [--bug <name>] [--json]
npm run sim -- --bugs [--json]

--seeds N   run N seeds, from --seed on (default 20; 1 where --seed is given)
--seed S    the first seed (default 0); each runs twice, and must give the same trace
--bug NAME  put a bug in: the run fails where no seed catches it
--bugs      each bug until a seed catches it, at most ${SEEDS_A_BUG}
--json      one object on the last line`;

function wholeNumber(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`expected a whole number with --${name}, found "${text}"`);
}

/** A seed's outcome; under `twice` it is run again, and another trace is a violation. */
async function outcomeOf(seed: number, name: string | undefined, twice: boolean): Promise<SeedOutcome> {
  const bug = name === undefined ? null : bugNamed(name);
  if (bug === undefined) {
    throw new TypeError(`expected --bug to be one of ${BUGS.map((one) => one.name).join(", ")}, found "${name ?? ""}"`);
  }
  const outcome = await simulate(seed, bug);
  if (!twice) return outcome;
  const again = await simulate(seed, bug);
  if (again.digest === outcome.digest) return outcome;
  return { ...outcome, violation: { invariant: "repeatable", message: "the same seed gave another trace" } };
}

function report({ seed, violation, lastLines }: SeedOutcome): void {
  if (violation === null) return;
  console.log(`seed ${seed}: ${violation.invariant}: ${violation.message}`);
  console.log(lastLines.map((line) => `  ${line}`).join("\n"));
  console.log(`again: npm run sim -- --seed ${seed}`);
}

async function runSeeds(first: number, count: number, bug: string | undefined, twice: boolean) {
  const failed: SeedOutcome[] = [];
  const totals = { seeds: 0, steps: 0, processes: 0, segments: 0, versions: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const outcome = await outcomeOf(seed, bug, twice);
    totals.seeds++;
    for (const name of ["steps", "processes", "segments", "versions"] as const) totals[name] += outcome[name];
    if (outcome.violation === null) continue;
    failed.push(outcome);
    report(outcome);
    if (bug !== undefined) break;
  }
  const { seeds, steps, processes, segments, versions } = totals;
  console.log(
    `${seeds} seeds: ${steps} steps, ${processes} processes, ${segments} segments, ${versions} versions; ` +
      (failed.length === 0 ? "every invariant held" : `${failed.length} failed`),
  );
  const found = failed.map(({ seed, violation, digest }) => ({ seed, digest, ...violation }));
  return {
    result: { ...totals, bug: bug ?? null, failed: found },
    ok: bug === undefined ? failed.length === 0 : failed.length > 0,
  };
}

async function runBugs() {
  const found: { name: string; seed: number | null; invariant: string | null }[] = [];
  for (const bug of BUGS) {
    const outcome = await findBug(bug);
    const invariant = outcome?.violation?.invariant ?? null;
    found.push({ name: bug.name, seed: outcome?.seed ?? null, invariant });
    const by = outcome === null ? `NOT CAUGHT in ${SEEDS_A_BUG} seeds` : `seed ${outcome.seed}, ${invariant ?? ""}`;
    console.log(`${bug.name.padEnd(34)} ${by}`);
  }
  const missed = found.filter(({ seed }) => seed === null).length;
  console.log(`${found.length} bugs, ${found.length - missed} caught, ${missed} missed`);
  return { result: { bugs: found }, ok: missed === 0 };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      seed: { type: "string" },
      bug: { type: "string" },
      bugs: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const first = values.seed === undefined ? 0 : wholeNumber(values.seed, "seed");
  const count = values.seeds === undefined ? (values.seed === undefined ? 20 : 1) : wholeNumber(values.seeds, "seeds");
  const { result, ok } = values.bugs
    ? await runBugs()
    : await runSeeds(first, count, values.bug, values.seed !== undefined);
  if (values.json) console.log(JSON.stringify({ name: "sim", ...result }));
  if (!ok) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = 2;
});
