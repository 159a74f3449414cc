import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { messageOf } from "../../schemas/errors.js";
import { BuiltPage } from "./built-page.js";
import { EventStreams } from "./events.js";
import { admit, assertGuarded, isLoopback, isSame, SECURITY_HEADERS, tokenCookie, type GuardOptions } from "./guard.js";
import { listening, shownHost } from "./listening.js";
import { openConsole, type OpenConsoleOptions } from "./open-console.js";
import { consoleOperations } from "./operations.js";
import { Refusal, refusalOf } from "./refusal.js";
import { Router, sendJson } from "./router.js";

export interface ServeOptions extends GuardOptions, Omit<OpenConsoleOptions, "onRead"> {
  /** 0: any that is free */
  readonly port: number;
}

export interface Serving {
  /** Where the page is, without a token */
  readonly url: string;
  readonly port: number;
  readonly isBuilt: boolean;
  /** Ends when the signal aborts */
  readonly ended: Promise<void>;
}

/** Where the build puts the page, beside this file's folder */
const PAGE_FOLDER = join(import.meta.dirname, "..", "page");

/** Serves the console until the signal aborts. Throws E_USAGE where it would be open to others, or the port is taken. */
export async function serve(options: ServeOptions): Promise<Serving> {
  assertGuarded(options);
  const { host, token, signal } = options;
  const events = new EventStreams();
  const console = await openConsole({
    ...options,
    onRead: () => {
      events.send("read", {});
    },
  });
  const page = await BuiltPage.read(PAGE_FOLDER);
  const router = new Router(consoleOperations(events));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    try {
      const url = addressOf(request);
      if (tookToken(url, request, response, token)) return;
      admit(request, options);
      if (url.pathname.startsWith("/api/")) await router.answer(console, request, response, url);
      else page.answer(response, url.pathname);
    } catch (error) {
      // Who has gone is told nothing, and it is no fault of ours.
      if (response.destroyed) return;
      const refusal = refusalOf(error);
      if (refusal.status >= 500) options.onFault(`${request.method ?? ""} ${request.url ?? ""}: ${messageOf(error)}`);
      if (response.headersSent) response.destroy();
      else sendJson(response, refusal.status, refusal.body);
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  // A caller that never ends its headers holds a socket, and no more.
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  const port = await listening(server, host, options.port);
  const ended = (async () => {
    if (!signal.aborted) await once(signal, "abort");
    events.close();
    server.closeAllConnections();
    await new Promise<void>((done) =>
      server.close(() => {
        done();
      }),
    );
  })();
  return { url: `http://${shownHost(host, isLoopback(host))}:${port}/`, port, isBuilt: page.isBuilt, ended };
}

/** What is asked for, on whatever host. Throws 400 for what is no path. */
function addressOf({ url = "/" }: IncomingMessage): URL {
  const address = `http://console${url}`;
  if (url.startsWith("/") && URL.canParse(address)) return new URL(address);
  throw new Refusal(400, "E_USAGE", "Expected a path that begins with /, found something else.");
}

/** Takes the token of an address into a cookie, and leads to the same address without it. */
function tookToken(url: URL, request: IncomingMessage, response: ServerResponse, token: string | null): boolean {
  const given = url.searchParams.get("token");
  if (given === null || token === null || request.method !== "GET" || url.pathname.startsWith("/api/")) return false;
  if (!isSame(given, token)) return false;
  url.searchParams.delete("token");
  response.writeHead(303, {
    "Set-Cookie": `${tokenCookie(request)}=${encodeURIComponent(token)}; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000`,
    Location: `${url.pathname.replace(/^\/+/, "/")}${url.search}`,
    "Cache-Control": "no-store",
  });
  response.end();
  return true;
}
