import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { ClassWalls } from "../../pipelines/console/class-wall.js";
import { HeldSelections } from "../../pipelines/console/held-selections.js";
import { ImageFinder } from "../../pipelines/console/image-finder.js";
import { LiveFigures } from "../../pipelines/console/live-figures.js";
import { SaidLabels } from "../../pipelines/console/said-labels.js";
import { memoryLimit } from "../../pipelines/flow/memory-estimate.js";
import { publishingParts } from "../../pipelines/open/open-scoring.js";
import { IndexGroups } from "../../pipelines/versions/index-groups.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { BuiltPage } from "./built-page.js";
import type { Console, OpenedStore, Settings } from "./console.js";
import { EventStreams } from "./events.js";
import {
  admit,
  assertGuarded,
  isLoopback,
  isSame,
  SECURITY_HEADERS,
  TOKEN_COOKIE,
  type GuardOptions,
} from "./guard.js";
import { consoleOperations } from "./operations.js";
import { refusalOf } from "./refusal.js";
import { Router, sendJson } from "./router.js";

export interface ServeOptions
  extends GuardOptions, Pick<Console, "author" | "readOnly" | "nowMs" | "logAction" | "withLabelTopic"> {
  readonly store: OpenedStore;
  /** Reads what is declared now */
  readonly settings: () => Promise<Settings>;
  /** 0: any that is free */
  readonly port: number;
  /** Errors of our own, for the log */
  readonly onFault: (message: string) => void;
  readonly signal: AbortSignal;
}

export interface Serving {
  /** Where the page is, without a token */
  readonly url: string;
  readonly port: number;
  readonly isBuilt: boolean;
  /** Ends when the signal aborts */
  readonly ended: Promise<void>;
}

/** How long declarations are taken to stand, ms */
const FRESH_MS = 2000;
/** Where the build puts the page, beside this file's folder */
const PAGE_FOLDER = join(import.meta.dirname, "..", "page");

/** Serves the console until the signal aborts. Throws E_USAGE where it would be open to others, or the port is taken. */
export async function serve(options: ServeOptions): Promise<Serving> {
  assertGuarded(options);
  const { host, token, signal, store, nowMs } = options;
  const events = new EventStreams();
  const settings = remembered(options.settings, nowMs);
  const first = await settings();
  let standing = first;
  const groups = new IndexGroups(store);
  const { opener } = publishingParts(first.config);
  const { stream } = first.config;
  const console: Console = {
    ...options,
    settings: async () => (standing = await settings()),
    groups,
    walls: new ClassWalls(groups, stream),
    held: new HeldSelections({
      store,
      // Half for rankings; the other half for rows that are looked at, and for what else runs here.
      maxStateBytes: memoryLimit() / 2,
      nowMs,
      onChange: () => {
        events.send("read", {});
      },
      signal,
    }),
    finder: new ImageFinder({ store, opener, stream, nowMs }),
    live: new LiveFigures({ config: () => standing.config, store, nowMs, onFault: options.onFault }),
    said: new SaidLabels(store, stream),
  };
  const page = await BuiltPage.read(PAGE_FOLDER);
  const router = new Router(consoleOperations(events));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    try {
      const url = new URL(request.url ?? "/", "http://console");
      if (tookToken(url, request, response, token)) return;
      admit(request, options);
      if (url.pathname.startsWith("/api/")) await router.answer(console, request, response, url);
      else page.answer(response, url.pathname);
    } catch (error) {
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
  const shown = host.includes(":") ? `[${host}]` : isLoopback(host) ? "localhost" : host;
  return { url: `http://${shown}:${port}/`, port, isBuilt: page.isBuilt, ended };
}

/** Takes the token of an address into a cookie, and leads to the same address without it. */
function tookToken(url: URL, request: IncomingMessage, response: ServerResponse, token: string | null): boolean {
  const given = url.searchParams.get("token");
  if (given === null || token === null || request.method !== "GET" || url.pathname.startsWith("/api/")) return false;
  if (!isSame(given, token)) return false;
  url.searchParams.delete("token");
  response.writeHead(303, {
    "Set-Cookie": `${TOKEN_COOKIE}=${encodeURIComponent(token)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000`,
    Location: `${url.pathname.replace(/^\/+/, "/")}${url.search}`,
    "Cache-Control": "no-store",
  });
  response.end();
  return true;
}

async function listening(server: Server, host: string, port: number): Promise<number> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    const found = code === "EADDRINUSE" ? "that another process has it" : code;
    throw new SluiceError(
      "E_USAGE",
      `Expected to listen on ${host}:${port}, found ${found}. Name another port with --port, or 0 for any.`,
      { cause },
    );
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** What is declared, read at most every two seconds; a moment's failure leaves what stood. */
function remembered(read: () => Promise<Settings>, nowMs: () => number): () => Promise<Settings> {
  let held: Promise<Settings> | null = null;
  let atMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (held !== null && nowMs() - atMs < FRESH_MS) return held;
    const before = held;
    atMs = nowMs();
    held = read().catch((error: unknown) => {
      if (before === null) {
        held = null;
        throw error;
      }
      return before;
    });
    return held;
  };
}
