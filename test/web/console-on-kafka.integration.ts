import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { startKafka } from "../../deploy/local/kafka.js";
import { startMinio } from "../../deploy/local/minio.js";
import type { Review } from "../../schemas/api/images.js";
import type { Live } from "../../schemas/api/flow.js";
import { cannotStart } from "../deploy/local/require-service.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "../../cli/main.js");

test(
  "on Kafka and MinIO a console shows, labels, pauses, resumes, retries, publishes and drains as beside one folder",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  async (t) => {
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    t.after(() => Promise.all([kafka.stop(), minio.stop()]));
    const folder = await temporaryFolder(t);
    await writePictures(join(folder, "pictures"), { images: 40, broken: 2 });
    await writePictures(join(folder, "more"), { images: 20 }, 5);
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    const settings = [
      "teacher: teacher",
      "engine: { workers: 1, batch: 8 }",
      "archive: { topM: 10, segmentRecords: 8, segmentDelayMs: 200 }",
      "datasets: [{ name: flowers, select: { k: 4, p: 3 }, trigger: { everyImages: 40 } }]",
    ];
    await writeFile(join(folder, "sluice.yaml"), settings.join("\n"));
    const env = { ...process.env, ...kafka.environment, ...minio.environment, SLUICE_PARTITIONS: "2" };
    const sluice = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder, env })).stdout;

    await sluice("topics", "create");
    await sluice("produce", "pictures");
    const running = spawn(process.execPath, [MAIN, "run", "all"], {
      cwd: folder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = once(running, "close") as Promise<[number | null]>;
    let said = "";
    for (const stream of [running.stdout, running.stderr])
      stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    t.after(() => running.kill("SIGKILL"));
    const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
      for (let tries = 0; tries < 600; tries++) {
        if (await isSo()) return;
        await sleep(200);
      }
      assert.fail(`${what} did not come: ${said.slice(-2000)}`);
    };
    await until(
      "the first version",
      async () => said.includes("flowers/1") || (await sluice("versions", "list")).includes("flowers"),
    );

    const serving = spawn(process.execPath, [MAIN, "serve", "--port", "0", "--author", "anna", "--json"], {
      cwd: folder,
      env: { ...env, SLUICE_DATA: "console" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    t.after(() => serving.kill("SIGKILL"));
    const [line] = (await once(createInterface({ input: serving.stdout }), "line")) as [string];
    const { port } = JSON.parse(line) as { readonly port: number };
    const call = async (path: string, body?: object): Promise<unknown> => {
      const sent = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const response = await fetch(`http://localhost:${port}${path}`, body === undefined ? {} : sent);
      const text = await response.text();
      assert.equal(response.status, 200, `${path}: ${text}`);
      return JSON.parse(text) as unknown;
    };
    const archived = async (): Promise<number> => ((await call("/api/flow")) as { readonly now: Live }).now.archived;

    assert.equal(await archived(), 42);
    const status = (await call("/api/status")) as { readonly kafka: { readonly groups: readonly object[] } };
    assert.ok(status.kafka.groups.length > 0);

    const { items } = (await call("/api/review/audit")) as Review;
    const [item] = items;
    await call("/api/labels", { verdict: "not", class: item!.label, sha256: [item!.sha256], by: "dora" });
    await until("the label", async () => {
      const { labels } = JSON.parse(await sluice("label", "list", "--json")) as { labels: readonly { by: string }[] };
      return labels.some(({ by }) => by === "dora");
    });

    const { control } = (await call("/api/control", { want: "pause", seen: null })) as {
      readonly control: { number: number };
    };
    await until("the pause", () => Promise.resolve(said.includes("Paused by anna")));
    await sluice("produce", "more");
    await sleep(3000);
    assert.equal(await archived(), 42, "nothing is read");
    await call("/api/control", { want: "run", seen: control.number });
    await until("what came meanwhile", async () => (await archived()) === 62);

    const refused = ((await call("/api/review/quarantine")) as Review).items[0]!.refused!;
    const { partition, offset } = refused;
    await call("/api/quarantine/retry", { records: [{ partition, offset }] });
    await until("the retried record", async () => (await archived()) === 63);

    const made = (await call("/api/datasets/flowers/publish", {})) as { readonly number: number; readonly id: string };
    const shown = JSON.parse(await sluice("versions", "show", "latest", "--json")) as { number: number; id: string };
    assert.ok(shown.number >= made.number);
    await sluice("versions", "verify", String(made.number));

    await call("/api/control", { want: "drain" });
    const [code] = await ended;
    assert.equal(code, 0, said.slice(-2000));
  },
);
