import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packageFile } from "../../cli/package-root.js";
import { counted } from "../../schemas/counted.js";
import { orNull } from "../../schemas/errors.js";
import { chaosRound, type RoundOutcome } from "./chaos-round.js";

const USAGE = `Real processes on a real Kafka and a real object store, while faults strike.

  npm run chaos -- [--seed N] [--kills M] [--images I] [--log file] [--json]

  --seed N    the first round's seed (default 1); rounds follow with N + 1, N + 2 …
  --kills M   faults in all (default 20), 20 a round
  --images I  pictures a round (default 300)
  --log FILE  a line a round (default .build/chaos.jsonl); rounds that stand there are not run again, so that a run that was stopped goes on

A round fails where an image is lost or doubled, where its version has another id than one machine gives, or where a turned bit is not refused by the object's
name. The processes' last words are printed then. Needs java and go (npm run services).
`;

const KILLS_A_ROUND = 20;

function count(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new TypeError(`expected a whole number above 0 with --${name}, found "${text}"`);
}

async function linesOf(path: string): Promise<RoundOutcome[]> {
  const text = (await orNull(readFile(path, "utf8"), "ENOENT")) ?? "";
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RoundOutcome);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      kills: { type: "string", default: String(KILLS_A_ROUND) },
      images: { type: "string", default: "300" },
      log: { type: "string", default: packageFile(join(".build", "chaos.jsonl")) },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [first, kills, images] = [
    count(values.seed, "seed"),
    count(values.kills, "kills"),
    count(values.images, "images"),
  ];
  const log = resolve(values.log);
  await mkdir(dirname(log), { recursive: true });
  const known = new Set((await linesOf(log)).map((line) => `${line.seed} ${line.kills} ${line.images}`));
  const done: RoundOutcome[] = [];
  for (let left = kills, seed = first; left > 0; left -= KILLS_A_ROUND, seed++) {
    const ofRound = Math.min(left, KILLS_A_ROUND);
    if (known.has(`${seed} ${ofRound} ${images}`)) continue;
    console.log(`round with seed ${seed}: ${counted(ofRound, "fault")}, ${counted(images, "image")}`);
    const outcome = await chaosRound({ seed, kills: ofRound, images, say: console.log });
    await appendFile(log, `${JSON.stringify(outcome)}\n`);
    done.push(outcome);
    console.log(
      `  ${outcome.seconds} s: nothing lost, nothing doubled, version ${outcome.id.slice(0, 12)} as one machine's; refused: ${outcome.refused.join(", ")}`,
    );
  }
  const all = (await linesOf(log)).filter(({ seed }) => seed >= first);
  const struck = all.reduce((sum, outcome) => sum + outcome.kills, 0);
  console.log(
    `${counted(struck, "fault")} in ${counted(all.length, "round")}; ${counted(done.length, "round")} of them now`,
  );
  if (values.json) console.log(JSON.stringify({ name: "chaos", rounds: all }));
}

main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = error instanceof TypeError ? 2 : 1;
});
