import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { runProgram } from "../../cli/program.js";
import { recordedTerminal, type RecordedTerminal } from "../cli/recorded-terminal.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";

/** What a server answered. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
  /** The body as JSON */
  readonly json: () => unknown;
}

/** A data folder of a small ingest, and servers over it, as a person starts them. */
export class ConsoleSite {
  readonly folder: string;
  readonly #running: { readonly terminal: RecordedTerminal; readonly ended: Promise<number> }[] = [];
  port = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** `className`: what the first class is called. `images` pictures, scored by an untrained teacher of ten classes; K of 6, so that there is a reserve. */
  static async make(images = 60, className?: string): Promise<ConsoleSite> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-console-"));
    const site = new ConsoleSite(folder);
    await writePictures(join(folder, "pictures"), { images, duplicates: 4, broken: 3 });
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    if (className !== undefined) {
      await nameFirstClass(join(folder, "teacher", "model-card.json"), className);
      await writeHostileNames(join(folder, "pictures"));
    }
    const settings = [
      "teacher: teacher",
      "engine: { workers: 1, batch: 8 }",
      "archive: { topM: 10, segmentRecords: 8 }",
      "datasets: [{ name: flowers, select: { k: 6, p: 3 } }]",
    ];
    await writeFile(join(folder, "sluice.yaml"), settings.join("\n"));
    assert.equal((await site.sluice(["ingest", "pictures"])).code, 0);
    return site;
  }

  /** One that lies there already */
  static at(folder: string): ConsoleSite {
    return new ConsoleSite(folder);
  }

  async sluice(
    args: readonly string[],
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const terminal = recordedTerminal({ folder: this.folder });
    terminal.atMs = Date.now();
    const code = await runProgram(args, terminal);
    return { code, out: terminal.stdout.text, err: terminal.stderr.text };
  }

  /** A command as a process of its own, which writes beside the server; its exit code. */
  async apart(args: readonly string[]): Promise<number> {
    const main = join(import.meta.dirname, "..", "..", "cli", "main.js");
    const child = spawn(process.execPath, [main, ...args], { cwd: this.folder, stdio: "ignore" });
    const [code] = (await once(child, "close")) as [number];
    return code;
  }

  /** The object that a command prints with `--json`. */
  async told(...args: readonly string[]): Promise<unknown> {
    const { out, err } = await this.sluice([...args, "--json"]);
    assert.notEqual(out, "", err);
    return JSON.parse(out) as unknown;
  }

  /** Starts `sluice serve` on a free port; later calls go to it. Returns its terminal. */
  async serve(args: readonly string[] = [], environment: Record<string, string> = {}): Promise<RecordedTerminal> {
    const terminal = recordedTerminal({ folder: this.folder, environment });
    Object.defineProperty(terminal, "nowMs", { value: Date.now });
    const ended = runProgram(["serve", "--port", "0", "--author", "anna", "--json", ...args], terminal);
    this.#running.push({ terminal, ended });
    const early = ended.then((code) => {
      throw new Error(`serve ended with ${code}: ${terminal.stdout.text}${terminal.stderr.text}`);
    });
    early.catch(() => undefined);
    while (terminal.stdout.text === "") await Promise.race([early, new Promise((done) => setTimeout(done, 5))]);
    this.port = (JSON.parse(terminal.stdout.text) as { port: number }).port;
    return terminal;
  }

  call(
    path: string,
    { method = "GET", headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answered> {
    return new Promise((done, fail) => {
      const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const sent = request({
        port: this.port,
        host: "127.0.0.1",
        path,
        method,
        headers: { ...(text === undefined ? {} : { "content-type": "application/json" }), ...headers },
      });
      sent.on("error", fail);
      sent.on("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => {
          const bytes = Buffer.concat(chunks);
          done({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes,
            json: () => JSON.parse(bytes.toString()) as unknown,
          });
        });
      });
      sent.end(text);
    });
  }

  /** The JSON of a call that must succeed. */
  async get(path: string): Promise<unknown> {
    const answered = await this.call(path);
    assert.equal(answered.status, 200, `${path}: ${answered.bytes.toString().slice(0, 500)}`);
    return answered.json();
  }

  /** Asks again until nothing is pending, as the page does. */
  async settled<T extends { readonly pending: unknown }>(path: string): Promise<T> {
    for (let tries = 0; tries < 500; tries++) {
      const answer = (await this.get(path)) as T;
      if (answer.pending === null) return answer;
      await new Promise((done) => setTimeout(done, 20));
    }
    throw new Error(`${path} stays pending`);
  }

  /** Ends the servers, as Ctrl-C does. */
  async stop(): Promise<void> {
    for (const { terminal, ended } of this.#running.splice(0)) {
      terminal.signals.emit("SIGINT");
      await ended;
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function nameFirstClass(path: string, name: string): Promise<void> {
  const card = JSON.parse(await readFile(path, "utf8")) as { labels: string[] };
  card.labels[0] = name;
  await writeFile(path, JSON.stringify(card));
}

/** Files whose names are markup: one that is a picture, and one that is none. */
async function writeHostileNames(folder: string): Promise<void> {
  const markup = `"><img src=x onerror=window.pwned=2>`;
  const pixels = { create: { width: 12, height: 12, channels: 3 as const, background: "#a33" } };
  await writeFile(join(folder, `${markup}.png`), await sharp(pixels).png().toBuffer());
  await writeFile(join(folder, `${markup}-broken.png`), "no picture");
}
