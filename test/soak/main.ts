import assert from "node:assert/strict";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { packageFile } from "../../cli/package-root.js";
import { orNull } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { growthOf, type Growth, type Sample } from "./growth.js";
import { SoakSite } from "./soak-site.js";

const USAGE = `Everything at once for a long time on a real Kafka and a real object store: images come in, versions are cut and rebuilt, labels given, garbage collected, the console asked. What
every process holds is measured meanwhile, and must not grow.

  npm run soak -- --minutes N [--rate R] [--log file] [--json]

  --minutes N  in all (default 1)
  --rate R     images a second (default 20)
  --log FILE   a line a part (default .build/soak.jsonl): minutes that stand there are not run again, so that a run that was stopped goes on with what is left
  --json       ends with one object

Exits with 1 where memory, handles, files or lag of a process grow beyond doubt, or where a command fails. Wants an idle machine, java and go (npm run services).
`;

/** A part ends then, and stands in the log: so much is lost where a run is stopped */
const PART_MINUTES = 20;
const SAMPLE_MS = 2000;
/** A rise over one part that is nothing: what the allocator and the compiler move about; some sockets; some files of the moment; one second's records */
const TOLERATED = { memoryBytes: 24 * 1024 * 1024, handles: 8, files: 8 } as const;
const TOLERATED_LAG_S = 3;

interface Part {
  readonly minutes: number;
  readonly rate: number;
  readonly images: number;
  /** How often each kind of work was done */
  readonly done: Readonly<Record<string, number>>;
  /** By `process figure` */
  readonly growth: Readonly<Record<string, Growth>>;
}

/** Calls again and again until told to stop, and counts. */
async function again(
  everyMs: number,
  stop: AbortSignal,
  done: Record<string, number>,
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  done[name] = 0;
  while (!stop.aborted) {
    const begunMs = performance.now();
    await work();
    done[name] += 1;
    await sleep(Math.max(0, everyMs - (performance.now() - begunMs)), undefined, { signal: stop }).catch(
      (error: unknown) => {
        if (!stop.aborted) throw error;
      },
    );
  }
}

async function runPart(minutes: number, rate: number): Promise<Part> {
  const site = await SoakSite.open();
  const done: Record<string, number> = {};
  const samples = new Map<string, Sample[]>();
  const stop = new AbortController();
  const add = (name: string, sample: Sample): void => {
    samples.set(name, [...(samples.get(name) ?? []), sample]);
  };
  const succeeds = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await site.sluice(...args);
    assert.equal(code, 0, `sluice ${args.join(" ")}\n${stdout}${stderr}`);
    return stdout;
  };
  const asked = async (path: string): Promise<void> => {
    const answer = await fetch(`${site.consoleUrl}${path}`);
    await answer.arrayBuffer();
    assert.ok(answer.ok, `${path}: ${answer.status}`);
  };
  try {
    await site.feed(64);
    const deadline = Date.now() + 900_000;
    let newest: Manifest | null = null;
    while (newest === null) {
      site.tend();
      assert.ok(Date.now() < deadline, "a first version within a quarter of an hour");
      const shown = await site.sluice("versions", "show", "best/latest", "--json");
      if (shown.code === 0) newest = JSON.parse(shown.stdout) as Manifest;
    }
    const label = newest.classes.find(({ count }) => count > 0)!.label;
    const begunMs = performance.now();
    const endMs = begunMs + minutes * 60_000;
    const work = [
      again(1000, stop.signal, done, "fed", () => site.feed(rate)),
      again(2000, stop.signal, done, "asked", async () => {
        for (const path of ["/api/overview", "/api/status", "/api/flow", "/api/versions", "/api/versions/best/latest"])
          await asked(path);
      }),
      again(20_000, stop.signal, done, "labelled", async () => {
        await succeeds(
          "label",
          "is",
          label,
          "--rows",
          `${label}:${1 + (done["labelled"]! % 5)}`,
          "--of",
          "best/latest",
          "--by",
          "soak",
        );
      }),
      again(30_000, stop.signal, done, "rebuilt", async () => {
        await succeeds("rebuild", "best", "--set", `datasets.0.select.k=${5 + (done["rebuilt"]! % 10)}`);
      }),
      again(SAMPLE_MS, stop.signal, done, "measured", async () => {
        const timeS = (performance.now() - begunMs) / 1000;
        for (const [name, figures] of await site.figures())
          for (const [figure, value] of Object.entries(figures))
            add(`${name} ${figure}`, { timeS, value: Number(value) });
        const lag = await site.lag();
        if (lag !== null) add("scorer lag", { timeS, value: lag });
        if (performance.now() > endMs) stop.abort();
      }),
    ];
    try {
      await Promise.all(work);
    } finally {
      stop.abort();
      await Promise.allSettled(work);
    }
    const growth = Object.fromEntries(
      [...samples].map(([name, some]) => {
        const figure = name.split(" ").at(-1)!;
        return [
          name,
          growthOf(some, figure in TOLERATED ? TOLERATED[figure as keyof typeof TOLERATED] : TOLERATED_LAG_S * rate),
        ];
      }),
    );
    return { minutes, rate, images: site.sent, done, growth };
  } finally {
    await site.close();
  }
}

function growthText(name: string, { mean, slopeAnHour, least, most, grows }: Growth): string {
  const isBytes = name.endsWith("memoryBytes");
  const shown = (value: number): string => (isBytes ? `${(value / 2 ** 20).toFixed(1)} MiB` : value.toFixed(1));
  const verdict =
    grows === null ? "too short to say" : `${shown(slopeAnHour)} an hour (95 %: ${shown(least)} to ${shown(most)})`;
  return `  ${name.padEnd(24)} ${shown(mean).padStart(11)}  ${verdict}${grows === true ? "  GROWS" : ""}`;
}

async function partsOf(path: string): Promise<Part[]> {
  const text = (await orNull(readFile(path, "utf8"), "ENOENT")) ?? "";
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Part);
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new TypeError(`expected a number above 0 with --${name}, found "${text}"`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "1" },
      rate: { type: "string", default: "20" },
      log: { type: "string", default: packageFile(join(".build", "soak.jsonl")) },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [minutes, rate] = [positive(values.minutes, "minutes"), Math.ceil(positive(values.rate, "rate"))];
  const log = resolve(values.log);
  await mkdir(dirname(log), { recursive: true });
  const parts = (await partsOf(log)).filter((part) => part.rate === rate);
  const ran = (): number => parts.reduce((sum, part) => sum + part.minutes, 0);
  while (minutes - ran() > 0.01) {
    const part = await runPart(Math.min(PART_MINUTES, minutes - ran()), rate);
    await appendFile(log, `${JSON.stringify(part)}\n`);
    parts.push(part);
    const works = Object.entries(part.done).map(([name, times]) => `${name} ${times}`);
    console.log(`${ran().toFixed(1)} of ${minutes} minutes: ${part.images} images; ${works.join(", ")}`);
    for (const [name, growth] of Object.entries(part.growth)) console.log(growthText(name, growth));
  }
  const growing = parts.flatMap(({ growth }, at) =>
    Object.entries(growth).flatMap(([name, { grows }]) => (grows === true ? [`${name} in part ${at + 1}`] : [])),
  );
  console.log(growing.length === 0 ? "Nothing grows." : `These grow: ${growing.join(", ")}.`);
  if (values.json) console.log(JSON.stringify({ name: "soak", parts, growing }));
  if (growing.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = error instanceof TypeError ? 2 : 1;
});
