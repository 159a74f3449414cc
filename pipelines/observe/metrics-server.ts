import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { codeOf, messageOf, SluiceError } from "../../schemas/errors.js";
import type { Health } from "./health.js";
import type { RunMetrics } from "./run-metrics.js";

export interface MetricsServerOptions {
  readonly host: string;
  /** 0: any that is free */
  readonly port: number;
  readonly metrics: Pick<RunMetrics, "text" | "contentType">;
  readonly health: Health;
}

export interface MetricsServer {
  /** Without a path */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Answers `/metrics`, `/healthz` and `/readyz` until it is closed. Throws E_USAGE where the address is not to be had. */
export async function openMetricsServer({ host, port, metrics, health }: MetricsServerOptions): Promise<MetricsServer> {
  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    switch (path) {
      case "/metrics":
        response.setHeader("Content-Type", metrics.contentType);
        response.end(await metrics.text());
        return;
      case "/healthz":
        judged(response, health.isHealthy, health);
        return;
      case "/readyz":
        judged(response, health.isReady, health);
        return;
      default:
        response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" });
        response.end("/metrics, /healthz and /readyz are here.\n");
    }
  };
  const server = createServer((request, response) => {
    response.setHeader("Cache-Control", "no-store");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    answer((request.url ?? "/").replace(/\?.*/, ""), response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { "Content-Type": "text/plain; charset=utf-8" }).end(`${messageOf(error)}\n`);
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const code = codeOf(cause) ?? "";
    const found = code === "EADDRINUSE" ? "that another process has it" : code;
    throw new SluiceError(
      "E_USAGE",
      `Expected to listen for Prometheus on ${host}:${port}, found ${found}. Name another port with --metrics-port, or 0 for any.`,
      { cause },
    );
  }
  // The work decides when the process ends, not who asks for figures.
  server.unref();
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((done) =>
        server.close(() => {
          done();
        }),
      );
    },
  };
}

/** 200 or 503, and each loop for people. */
function judged(response: ServerResponse, isWell: boolean, health: Health): void {
  response.writeHead(isWell ? 200 : 503, { "Content-Type": "application/json; charset=utf-8" });
  response.end(`${JSON.stringify({ ok: isWell, loops: health.loops() })}\n`);
}
