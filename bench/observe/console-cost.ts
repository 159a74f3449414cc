import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchOptions } from "../harness.js";
import type { Looking } from "../observe.js";
import { lookedAt, type LookedPlace } from "./looked-at.js";

/** A page hears every second what goes on, and asks for a wall and its pictures so often, ms */
const LOOK_MS = 30_000;
const PICTURES = 5;
const CLASSES = 10;
const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");

/** An ingest with a console beside it that so many people have open. On this machine the pages' own work counts as well. */
export async function consoleCost({ tiny, print }: BenchOptions): Promise<Looking> {
  const images = tiny ? 300 : 60_000;
  const clients = tiny ? 5 : 50;
  print(`${images} JPEGs of 48 x 36, a small net of 10 classes; ${clients} clients of a console`);
  const calls: Clients["calls"] = { made: 0, refused: 0 };
  const look = async (line: string, place: LookedPlace): Promise<void> => {
    const data = /^data at (.+)$/.exec(line)?.[1];
    if (data !== undefined) await watched(data, place, { clients, calls });
  };
  const looking = await lookedAt({ by: "console", images, rounds: tiny ? 1 : 4, least: 0.95, look }, print);
  const why = calls.why === undefined ? "" : `, the first ${calls.why}`;
  print(`${calls.made} calls beside the event streams, ${calls.refused} refused${why}`);
  // A page that is shown nothing costs nothing: the figure would say so of a console that is not looked at.
  if (!tiny && calls.refused > calls.made / 10)
    throw new Error("expected that clients are answered, found that most are not");
  return looking;
}

interface Clients {
  readonly clients: number;
  readonly calls: { made: number; refused: number; why?: string };
}

/** Serves a data folder until the signal aborts, and looks at it. */
async function watched(
  data: string,
  { teacher, begin, signal }: LookedPlace,
  { clients, calls }: Clients,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-console-"));
  const settings = { data, teacher, datasets: [{ name: "bench", select: { k: 100, p: 10 } }] };
  await writeFile(join(folder, "sluice.yaml"), JSON.stringify(settings));
  // The entrant declares nothing; a page shows what is declared.
  const declared = spawn(process.execPath, [MAIN, "datasets", "apply"], { cwd: folder, stdio: "ignore" });
  await once(declared, "close");
  const server = spawn(process.execPath, [MAIN, "serve", "--port", "0", "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(server, "close");
  try {
    const port = await portOf(server);
    begin();
    await Promise.all(
      Array.from({ length: clients }, (_, at) => client(`http://127.0.0.1:${port}`, at, calls, signal)),
    );
  } finally {
    server.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true });
  }
}

async function portOf(server: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: server.stdout! }))
    return (JSON.parse(line) as { port: number }).port;
  throw new Error("the console ended before it listened");
}

/** One page: the stream of events, and a look at a class now and then. */
async function client(url: string, at: number, calls: Clients["calls"], signal: AbortSignal): Promise<void> {
  const get = async (path: string): Promise<Response> => {
    const response = await fetch(url + path, { signal });
    calls.made++;
    if (!response.ok) {
      calls.refused++;
      calls.why ??= `${path}: ${response.status} ${(await response.clone().text()).slice(0, 200)}`;
    }
    return response;
  };
  const events = async (): Promise<void> => {
    const response = await fetch(`${url}/api/events`, { signal });
    await response.body?.pipeTo(new WritableStream());
  };
  const looks = async (): Promise<void> => {
    // Not all at once.
    await sleep((at * 997) % LOOK_MS, undefined, { signal });
    for (;;) {
      for (const path of ["/api/flow", "/api/status"]) await (await get(path)).arrayBuffer();
      const wall = await get(`/api/datasets/bench/classes/${at % CLASSES}/wall?limit=60`);
      const text = await wall.text();
      const { rows = [] } = wall.ok ? (JSON.parse(text) as { rows?: { row: { sha256: string } }[] }) : {};
      for (const { row } of rows.slice(0, PICTURES)) {
        await (await get(`/api/images/${row.sha256}/picture?side=96`)).arrayBuffer();
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
  };
  // The end of the ingest ends both, as does the end of the server.
  await Promise.allSettled([events(), looks()]);
}
