import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import sharp from "sharp";
import type { ClassRows } from "../../../schemas/api/versions.js";
import { EventStreams } from "../../../web/server/events.js";
import { READING } from "../../../web/server/mcp/tools.js";
import { isSchema } from "../../../web/server/open-api.js";
import { consoleOperations } from "../../../web/server/operations.js";
import { ConsoleSite } from "../console-site.js";

interface Content {
  readonly type: string;
  readonly text?: string;
  readonly data?: string;
  readonly mimeType?: string;
}
interface Said {
  readonly id: number | null;
  readonly result?: {
    readonly protocolVersion?: string;
    readonly tools?: readonly {
      name: string;
      inputSchema: { type: string; properties: object; required?: string[] };
    }[];
    readonly content?: readonly Content[];
    readonly isError?: boolean;
  };
  readonly error?: { readonly code: number; readonly message: string };
}

/** A client as an agent's program has one: it starts the command, and speaks to it line by line. */
class Client {
  readonly #child;
  readonly #waiting = new Map<number | null, (said: Said) => void>();
  #next = 1;
  err = "";

  constructor(folder: string) {
    const main = join(import.meta.dirname, "..", "..", "..", "cli", "main.js");
    this.#child = spawn(process.execPath, [main, "mcp"], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (chunk: Buffer) => (this.err += chunk.toString()));
    createInterface({ input: this.#child.stdout }).on("line", (text) => {
      const said = JSON.parse(text) as Said;
      this.#waiting.get(said.id)?.(said);
      this.#waiting.delete(said.id);
    });
  }

  write(text: string): void {
    this.#child.stdin.write(`${text}\n`);
  }

  heard(id: number | null): Promise<Said> {
    return new Promise((done) => this.#waiting.set(id, done));
  }

  ask(method: string, params?: object): Promise<Said> {
    const id = this.#next++;
    const heard = this.heard(id);
    this.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return heard;
  }

  async call(name: string, given: object = {}): Promise<unknown> {
    const { result, error } = await this.ask("tools/call", { name, arguments: given });
    assert.equal(error, undefined);
    assert.notEqual(result?.isError, true, result?.content?.[0]?.text);
    return JSON.parse(result!.content![0]!.text!) as unknown;
  }

  async end(): Promise<number | null> {
    const closed = once(this.#child, "close") as Promise<[number | null]>;
    this.#child.stdin.end();
    return (await closed)[0];
  }
}

test("every call of the API that reads and answers with JSON is a tool", () => {
  const operations = consoleOperations(new EventStreams());
  const tools = new Set(Object.values(READING).map(({ route }) => route));
  const missing = operations
    .filter(({ method, answer, route }) => method === "GET" && isSchema(answer) && route !== "/api/openapi.json")
    .map(({ route }) => route)
    .filter((route) => !tools.has(route));
  assert.deepEqual(missing, []);
});

describe("an agent at the door", () => {
  let site: ConsoleSite;
  let client: Client;

  before(async () => {
    site = await ConsoleSite.make();
    client = new Client(site.folder);
    const { result } = await client.ask("initialize", {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    });
    assert.equal(result?.protocolVersion, "2025-06-18");
    client.write(JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }));
  });

  after(async () => {
    assert.equal(await client.end(), 0, client.err);
    await site.remove();
  });

  test("is told of tools with schemas of what they take", async () => {
    const { result } = await client.ask("tools/list");
    const tools = new Map(result!.tools!.map((tool) => [tool.name, tool.inputSchema]));
    const classRows = tools.get("class_rows")!;
    assert.equal(classRows.type, "object");
    assert.deepEqual(Object.keys(classRows.properties).sort(), ["class", "dataset", "from", "limit", "version"]);
    assert.ok(classRows.required!.includes("dataset") && !classRows.required!.includes("limit"));
    assert.ok(tools.has("picture") && tools.has("whatif"));
  });

  test("gets what the commands print with --json, and pictures to look at", async () => {
    assert.deepEqual(await client.call("versions"), await site.told("versions", "list"));
    assert.deepEqual(
      await client.call("version", { dataset: "flowers", version: "latest" }),
      await site.told("versions", "show", "latest"),
    );
    const told = (await site.told("whatif", "--k", "9")) as { readonly answers: readonly { readonly rows: number }[] };
    const found = (await client.call("whatif", { dataset: "flowers", k: 9 })) as { answer: { rows: number } };
    assert.equal(found.answer.rows, told.answers[0]!.rows, "it waits for what is being read");
    const { rows } = (await client.call("class_rows", {
      dataset: "flowers",
      version: "latest",
      class: 2,
      limit: 3,
    })) as ClassRows;
    assert.equal(rows.length, 3);
    const { result } = await client.ask("tools/call", { name: "picture", arguments: { sha256: rows[0]!.sha256 } });
    const [picture] = result!.content!;
    assert.equal(picture!.type, "image");
    const { width, height } = await sharp(Buffer.from(picture!.data!, "base64")).metadata();
    assert.ok(Math.max(width, height) <= 384);
  });

  test("is told what is wrong with a call, and goes on", async () => {
    const wrong = async (name: string, given: object): Promise<string> => {
      const { result } = await client.ask("tools/call", { name, arguments: given });
      assert.equal(result?.isError, true);
      return result.content![0]!.text!;
    };
    assert.match(await wrong("classes", { dataset: "flowers", version: "latest", limit: 9999 }), /^limit: .*<=500/);
    assert.match(await wrong("version", { dataset: "flowers", version: "77" }), /Expected version 77/);
    assert.match(
      await wrong("class_rows", { dataset: "flowers", version: "latest", class: 99 }),
      /from 0 to 9, found 99/,
    );
    assert.match(await wrong("versions", { shell: "rm" }), /shell/);
    assert.match(await wrong("picture", { sha256: "../../etc/passwd" }), /^sha256: /);
    assert.equal((await client.ask("tools/call", { name: "label" })).error?.code, -32_602, "nothing that writes");
    assert.equal((await client.ask("resources/list")).error?.code, -32_601);
    const heard = client.heard(null);
    client.write("{ not json");
    assert.equal((await heard).error?.code, -32_700);
    assert.deepEqual((await client.ask("ping")).result, {});
    const initialized = await client.ask("initialize", { protocolVersion: "2025-03-26" });
    const { protocolVersion } = initialized.result as { readonly protocolVersion?: string };
    assert.equal(protocolVersion, "2025-11-25", "one message a line: that revision asks for several");
  });
});
