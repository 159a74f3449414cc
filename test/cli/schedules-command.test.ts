import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../../deploy/local/server-process.js";
import { CommandFolder } from "../fixtures/command-folder.js";

const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.js");

interface Listed {
  readonly schedules: readonly {
    readonly name: string;
    readonly nextMs: number;
    readonly last: { readonly state: string; readonly exitCode: number | null; readonly said: string | null } | null;
  }[];
}

test("scheduled commands run at their times, are listed with what became of them, and a stop ends in order", async (t) => {
  const place = await CommandFolder.make({ images: 12, datasets: "[{ name: flowers, select: { k: 2, p: 1 } }]" }, t);
  assert.equal((await place.sluice("ingest", "pictures")).code, 0);
  const none = await place.sluice("schedules", "run");
  assert.equal(none.code, 2);
  assert.match(none.err, /Expected schedules in sluice\.yaml, found none\. Write, for example:\nschedules:/);
  assert.match((await place.sluice("schedules", "list")).out, /^No schedules: sluice\.yaml names none/);

  await appendFile(
    join(place.path, "sluice.yaml"),
    [
      "",
      "schedules:",
      '  - { name: free, cron: "*/2 * * * * *", run: [gc] }',
      '  - { name: wrong, cron: "*/2 * * * * *", run: [rebuild, no-such-dataset] }',
      '  - { name: yearly, cron: "0 3 1 1 *", timeZone: Europe/Berlin, run: [gc, --yes] }',
    ].join("\n"),
  );
  assert.match(
    (await place.sluice("schedules", "list")).out,
    /yearly {4}gc --yes .* 03:00 Europe\/Berlin {2}none: nobody has worked by it yet/,
  );
  // The port is the scheduler's own: its commands have another.
  const port = String(await freePort());
  const running = spawn(process.execPath, [MAIN, "schedules", "run"], {
    cwd: place.path,
    env: { PATH: process.env["PATH"], HOME: place.path, SLUICE_METRICS__PORT: port },
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => running.kill("SIGKILL"));
  const ended = once(running, "close") as Promise<[number | null]>;
  let err = "";
  for await (const chunk of running.stderr.iterator({ destroyOnReturn: false })) {
    err += String(chunk);
    if (/free: done\. /.test(err) && /wrong: ended with exit code 2\. .*no-such-dataset/.test(err)) break;
  }
  const { schedules } = await place.json<Listed>("schedules", "list");
  const [free, wrong, yearly] = schedules;
  assert.ok(["ok", "running"].includes(free!.last!.state), free!.last!.state);
  assert.ok(["failed", "running"].includes(wrong!.last!.state), wrong!.last!.state);
  assert.equal(yearly!.last, null);
  assert.ok(yearly!.nextMs > Date.now());
  running.stderr.resume();
  running.kill("SIGINT");
  const [code] = await ended;
  assert.equal(code, 0, err);
});
