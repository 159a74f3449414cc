import { once } from "node:events";
import { rename, rm } from "node:fs/promises";
import { request, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { ConsoleSite } from "../../web/console-site.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, mutateBytes, mutateJson, oneOf } from "../mutate.js";

type Schema = Readonly<Record<string, unknown>>;
interface ApiOperation {
  readonly parameters: readonly { readonly name: string; readonly in: "path" | "query"; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: Schema } } };
}
interface ApiText {
  readonly paths: Readonly<Record<string, Readonly<Record<string, ApiOperation>>>>;
}

/** A call, as the input has it; `raw`: bytes for the socket instead */
interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly raw: string | null;
}

const WORDS = [
  "flowers",
  "1",
  "flowers/1",
  "0",
  "-1",
  "999999999",
  "1e309",
  "NaN",
  "../../../../etc/passwd",
  "..%2f..%2foutside",
  "%00",
  "%",
  "__proto__",
  "constructor",
  "",
  "a".repeat(5000),
  "0".repeat(64),
  "latest",
  "ü",
  "<script>",
  "null",
  "[]",
];

/** A value that a schema takes, or nearly so */
function valueFor(next: () => number, schema: Schema, depth = 0): unknown {
  if (next() < 0.1) return oneOf(next, WORDS);
  const options = (schema["anyOf"] ?? schema["oneOf"]) as Schema[] | undefined;
  if (options !== undefined && depth < 6) return valueFor(next, oneOf(next, options), depth + 1);
  if ("const" in schema) return schema["const"];
  if (Array.isArray(schema["enum"])) return oneOf(next, schema["enum"] as unknown[]);
  switch (schema["type"]) {
    case "object": {
      const members = Object.entries((schema["properties"] ?? {}) as Record<string, Schema>);
      return Object.fromEntries(
        members.filter(() => next() < 0.9).map(([name, one]) => [name, depth < 6 ? valueFor(next, one, depth + 1) : 0]),
      );
    }
    case "array":
      return Array.from({ length: below(next, 4) }, () => valueFor(next, (schema["items"] ?? {}) as Schema, depth + 1));
    case "integer":
    case "number":
      return oneOf(next, [0, 1, 2, 5, 10, 100, -1, 0.5, 1e15, 2 ** 53]);
    case "boolean":
      return next() < 0.5;
    default:
      return oneOf(next, WORDS);
  }
}

function callFor(next: () => number, { paths }: ApiText): Call {
  const [route, methods] = oneOf(next, Object.entries(paths));
  const [method, operation] = oneOf(next, Object.entries(methods));
  let path = route;
  const query: string[] = [];
  for (const { name, in: place, schema } of operation.parameters) {
    const value = valueFor(next, schema);
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const encoded = next() < 0.9 ? encodeURIComponent(text) : text.replaceAll(/[^!-~]|[\\^`{|}"<>]/g, "_");
    if (place === "path") path = path.replace(`{${name}}`, encoded);
    else if (next() < 0.6) query.push(`${name}=${encoded}`);
  }
  if (next() < 0.05)
    query.push(
      `${oneOf(
        next,
        WORDS.filter((word) => /^[a-z_]+$/.test(word)),
      )}=1`,
    );
  const schema = operation.requestBody?.content["application/json"].schema;
  const value = schema === undefined ? null : JSON.stringify(valueFor(next, schema));
  const body =
    value === null ? null : next() < 0.5 ? value : Buffer.from(mutateJson(next, Buffer.from(value))).toString();
  const headers: Record<string, string> = body === null ? {} : { "content-type": "application/json" };
  if (next() < 0.05)
    headers[oneOf(next, ["range", "if-none-match", "accept", "cookie", "origin", "expect"])] = "x=\u00e9,,;%";
  const whole = `${path}${query.length === 0 ? "" : "?"}${query.join("&")}`;
  return {
    method: next() < 0.97 ? method.toUpperCase() : oneOf(next, ["PUT", "DELETE", "HEAD", "OPTIONS"]),
    path: whole,
    headers,
    body,
    raw: null,
  };
}

function rawFor(next: () => number): Call {
  const text = Buffer.from("GET /api/overview HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
  const raw = Buffer.from(mutateBytes(next, text, text)).toString("latin1");
  return { method: "", path: "", headers: {}, body: null, raw };
}

export const API: FuzzTarget = {
  name: "api",
  what: "calls of the console's HTTP API, drawn from its own OpenAPI text, and bytes that are no HTTP",
  extension: "json",
  prepare: async (folder) => {
    const made = await ConsoleSite.make(24);
    await rename(made.folder, join(folder, "site"));
    const site = ConsoleSite.at(join(folder, "site"));
    await site.serve();
    const api = (await site.get("/api/openapi.json")) as ApiText;
    return {
      make: (next) => Buffer.from(JSON.stringify(next() < 0.05 ? rawFor(next) : callFor(next, api))),
      run: async (input) => {
        let call: Call;
        try {
          call = JSON.parse(Buffer.from(input).toString()) as Call;
        } catch (error) {
          if (error instanceof SyntaxError) return;
          throw error;
        }
        if (call.raw !== null) await sendRaw(site.port, call.raw);
        else await checked(site.port, call);
        if (
          (await answered(site.port, { method: "GET", path: "/api/control", headers: {}, body: null, raw: null }))
            .status >= 500
        )
          throw new TypeError("the server does not answer any more");
      },
      close: async () => {
        await site.stop();
        await rm(site.folder, { recursive: true, force: true });
      },
    };
  },
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A stream is left as soon as it has begun. */
function answered(port: number, { method, path, headers, body }: Call): Promise<Answer> {
  return new Promise((done, fail) => {
    const sent = request({ port, host: "127.0.0.1", path, method, headers, agent: false });
    sent.on("error", fail);
    sent.on("response", (response) => {
      const { statusCode: status = 0, headers: given } = response;
      if (/event-stream/.test(given["content-type"] ?? "")) {
        sent.off("error", fail);
        sent.on("error", () => undefined);
        sent.destroy();
        done({ status, headers: given, text: "" });
        return;
      }
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", fail);
      response.on("end", () => {
        done({ status, headers: given, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.end(body ?? undefined);
  });
}

async function checked(port: number, call: Call): Promise<void> {
  const { status, headers, text } = await answered(port, call);
  if (status < 400) return;
  // Node's own server refuses what is no HTTP before it is ours.
  if (text === "" || call.method === "HEAD") return;
  if (!/json/.test(headers["content-type"] ?? ""))
    throw new TypeError(`${status} of ${headers["content-type"] ?? "no type"}`);
  const { error } = JSON.parse(text) as { error: { code: string; message: string } };
  if (status >= 500 || error.code === "E_INTERNAL") throw new TypeError(`${status} ${error.code}: ${error.message}`);
}

async function sendRaw(port: number, raw: string): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  socket.end(raw, "latin1");
  socket.setTimeout(2000, () => socket.destroy());
  await once(socket, "close");
}
