import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Said } from "./say.js";

const ENTRANTS = join(import.meta.dirname, "..", "entrants");

/** A process of the bench that says what it does (./say.ts), until it is ended or killed. */
export class Member {
  readonly #child: ChildProcess;
  readonly #lines: Promise<unknown>;
  readonly #name: string;
  #complaints = "";
  #ended = false;
  #leave = false;
  readonly #waiting: (() => void)[] = [];
  readonly said: Said[] = [];

  /** `options` is handed over as JSON. `core`: the only one that it may use (by Linux's taskset). */
  constructor(script: string, options: object, core: number | null = null) {
    this.#name = script;
    const args = [join(ENTRANTS, script), JSON.stringify(options)];
    const node = [process.execPath, ...(process.env["SLUICE_BENCH_NODE"]?.split(" ") ?? []), ...args];
    const [program = "", ...rest] = core === null ? node : ["taskset", "-c", String(core), ...node];
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => (this.#complaints += chunk.toString()));
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => {
      this.said.push(JSON.parse(line) as Said);
      this.#wake();
    });
    this.#lines = once(child, "close").then(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The first that it has said, or says, of which `find` makes something. Throws where it ends before. */
  async until<Found>(find: (said: Said) => Found | undefined): Promise<Found> {
    return this.untilAll((all) => {
      for (const one of all) {
        const found = find(one);
        if (found !== undefined) return found;
      }
      return undefined;
    });
  }

  /** The same of all that it has said so far. */
  async untilAll<Found>(find: (said: readonly Said[]) => Found | undefined): Promise<Found> {
    for (;;) {
      const found = find(this.said);
      if (found !== undefined) return found;
      await this.next();
    }
  }

  /** Settles when it says something more. Throws where it has ended. */
  async next(): Promise<void> {
    if (this.#ended) throw new Error(`${this.#name} ended too soon: ${this.#complaints.slice(-2000)}`);
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async event(name: string): Promise<Said> {
    return this.until((said) => (said.event === name ? said : undefined));
  }

  /** Partitions that it holds now, by what it has said */
  get held(): ReadonlySet<unknown> {
    const held = new Set<unknown>();
    for (const { event, partition } of this.said) {
      if (event === "given") held.add(partition);
      else if (event === "released") held.delete(partition);
    }
    return held;
  }

  /** Lets it end in order. Throws what it complained of where it failed. */
  async end(): Promise<void> {
    if (!this.#leave) this.#child.stdin?.end();
    this.#leave = true;
    await this.#lines;
    const { exitCode } = this.#child;
    if (exitCode !== 0 && exitCode !== null)
      throw new Error(`${this.#name} ended with ${exitCode}: ${this.#complaints.slice(-2000)}`);
  }

  async kill(): Promise<void> {
    this.#leave = true;
    this.#child.kill("SIGKILL");
    await this.#lines;
  }
}
