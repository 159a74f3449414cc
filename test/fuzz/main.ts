import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packageFile } from "../../cli/package-root.js";
import { counted } from "../../schemas/counted.js";
import { runTarget, type Finding, type TargetOutcome } from "./run-target.js";
import { TARGETS } from "./targets/all-targets.js";

const USAGE = `Feeds hostile input to whatever reads input, under a seed, and says what did not refuse it in order.

  npm run fuzz -- [--minutes N] [--target name] [--seed S] [--json]
  npm run fuzz -- --target name --file input

  --minutes N    in all, shared by the targets (default 1; CI takes 0.2)
  --target NAME  this one alone
  --seed S       other inputs with another seed (default 1)
  --file PATH    one input, such as a finding left
  --json         one object on the last line

A finding is whatever is thrown and is no refusal, a process that dies, stands still or grows by a gigabyte, and a file that changed outside of
the target's folder. Its smallest input is left in .build/fuzz/.

${TARGETS.map(({ name, what }) => `  ${name.padEnd(14)} ${what}`).join("\n")}
`;

/** Targets at a time */
const TOGETHER = Math.max(1, Math.min(4, availableParallelism()));

function positive(text: string, name: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new TypeError(`expected a number with --${name}, found "${text}"`);
}

function report({ target, tries, taken, findings }: TargetOutcome): void {
  const end = findings.length === 0 ? "" : `, ${counted(findings.length, "FINDING")}`;
  console.log(
    `${target.padEnd(14)} ${String(tries).padStart(9)} tries, ${String(taken).padStart(9)} taken, the rest refused${end}`,
  );
  for (const finding of findings) console.log(said(finding));
}

function said({ target, kind, seed, tryNumber, file, said: words }: Finding): string {
  const again = `npm run fuzz -- --target ${target} --file ${file}`;
  return `  ${kind} (seed ${seed}, try ${tryNumber}):\n    ${words.replaceAll("\n", "\n    ")}\n  again: ${again}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "1" },
      target: { type: "string" },
      seed: { type: "string", default: "1" },
      file: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const targets = values.target === undefined ? TARGETS : TARGETS.filter(({ name }) => name === values.target);
  if (targets.length === 0 || (values.file !== undefined && values.target === undefined))
    throw new TypeError(
      `expected --target to be one of ${TARGETS.map(({ name }) => name).join(", ")}, found "${values.target ?? ""}"`,
    );
  const forMs = (positive(values.minutes, "minutes") * 60_000 * Math.min(TOGETHER, targets.length)) / targets.length;
  const seed = positive(values.seed, "seed");
  const outcomes: TargetOutcome[] = [];
  const file = values.file === undefined ? {} : { file: resolve(values.file) };
  const waiting = [...targets];
  const inTurn = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      const outcome = await runTarget(target, { seed, forMs, keepIn: packageFile(join(".build", "fuzz")), ...file });
      outcomes.push(outcome);
      report(outcome);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, inTurn));
  const findings = outcomes.flatMap((outcome) => outcome.findings);
  const tries = outcomes.reduce((sum, outcome) => sum + outcome.tries, 0);
  console.log(
    `${counted(targets.length, "target")}, ${counted(tries, "try", "tries")}, ${counted(findings.length, "finding")}`,
  );
  if (values.json) console.log(JSON.stringify({ name: "fuzz", seed, outcomes }));
  if (findings.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = 2;
});
