import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import type { Console } from "./console.js";
import { isSchema } from "./open-api.js";
import type { Operation } from "./operation.js";
import { Refusal } from "./refusal.js";

/** Greatest body of a call, bytes: verdicts on some hundred images */
const MOST_BODY = 256 * 1024;

interface Route {
  readonly operation: Operation;
  readonly steps: readonly string[];
  /** Of the path and of the query: made once, since making them compiles */
  readonly path: z.ZodType;
  readonly query: z.ZodType;
}

/** Finds the operation of a call, validates what it is given, runs it, and sends the answer. */
export class Router {
  readonly #routes: readonly Route[];

  constructor(operations: readonly Operation[]) {
    this.#routes = operations.map((operation) => ({
      operation,
      steps: operation.route.split("/"),
      path: z.object(operation.path),
      query: z.object(operation.query),
    }));
  }

  async answer(console: Console, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const method = request.method === "HEAD" ? "GET" : request.method;
    const found = this.#find(url.pathname);
    if (found.length === 0) {
      throw new Refusal(
        404,
        "E_USAGE",
        `Expected a call of the API, found ${url.pathname.slice(0, 200)}. GET /api/openapi.json lists them.`,
      );
    }
    const match = found.find(({ operation }) => operation.method === method);
    if (match === undefined) {
      const there = found.map(({ operation }) => operation.method).join(", ");
      response.setHeader("Allow", there);
      throw new Refusal(
        405,
        "E_USAGE",
        `Expected ${there} of ${url.pathname.slice(0, 200)}, found ${request.method ?? "?"}.`,
      );
    }
    const { operation, values } = match;
    const path = checked(match.path, values) as Record<string, unknown>;
    const query = checked(match.query, queryOf(url, operation)) as Record<string, unknown>;
    const body = operation.body === null ? undefined : checked(operation.body, await bodyOf(request));
    const gone = new AbortController();
    response.on("close", () => {
      gone.abort();
    });
    const made = await operation.run({ console, path, query, body, signal: gone.signal, response });
    if (!isSchema(operation.answer)) return;
    sendJson(response, 200, made);
  }

  #find(pathname: string): (Route & { readonly values: Record<string, string> })[] {
    const given = pathname.split("/");
    return this.#routes.flatMap((route) => {
      const { steps } = route;
      if (steps.length !== given.length) return [];
      const values: Record<string, string> = {};
      for (const [at, step] of steps.entries()) {
        const name = /^\{(.+)\}$/.exec(step)?.[1];
        const word = given[at]!;
        if (name === undefined) {
          if (step !== word) return [];
        } else {
          const decoded = decodedStep(word);
          if (decoded === null) return [];
          values[name] = decoded;
        }
      }
      return [{ ...route, values }];
    });
  }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Length": Buffer.byteLength(text),
  });
  response.end(text);
}

function decodedStep(word: string): string | null {
  try {
    const text = decodeURIComponent(word);
    return text === "" ? null : text;
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

function queryOf(url: URL, operation: Operation): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    if (!(name in operation.query)) {
      const known = Object.keys(operation.query).join(", ");
      throw new Refusal(
        400,
        "E_USAGE",
        `Expected ${known === "" ? "no parameters" : `one of ${known}`}, found "${name.slice(0, 100)}".`,
        { field: name.slice(0, 100) },
      );
    }
    values[name] = value;
  }
  return values;
}

/** Throws a refusal that names the field. */
function checked(schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.map(String).join(".");
  const found = field === "" || typeof value !== "object" || value === null ? "" : foundText(value, issue.path);
  throw new Refusal(
    400,
    "E_USAGE",
    `${field === "" ? "The body" : field}: ${issue.message}${found}.`,
    field === "" ? {} : { field },
  );
}

function foundText(value: object, path: readonly PropertyKey[]): string {
  let at: unknown = value;
  for (const step of path)
    at = typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[step] : undefined;
  return at === undefined ? "" : `, found ${JSON.stringify(at).slice(0, 100)}`;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/json\b/i.test(type)) {
    throw new Refusal(
      415,
      "E_USAGE",
      `Expected a body of application/json, found ${type === "" ? "none" : type.slice(0, 100)}.`,
    );
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MOST_BODY)
      throw new Refusal(413, "E_USAGE", `Expected a body of at most ${MOST_BODY} bytes. Send fewer images at once.`);
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Refusal(400, "E_USAGE", "Expected a body of JSON, found text that does not read as such.");
  }
}
