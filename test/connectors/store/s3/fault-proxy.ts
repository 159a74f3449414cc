import http from "node:http";
import type { AddressInfo } from "node:net";

export interface ProxiedRequest {
  readonly method: string;
  /** Path and query */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** Sends this many bytes of the body, then breaks the connection. */
  readonly breakAfter?: number;
}

/** What becomes of a request: a reply, a connection that breaks, or silence. */
export type Behaviour = (
  request: ProxiedRequest,
  forward: () => Promise<Reply>,
) => Promise<Reply | "break" | "silence">;

/**
 * Stands between a client and a real server and does what a bad network, or a server in trouble, does. The request reaches
 * the server as it was sent (its signature covers its headers).
 */
export class FaultProxy {
  readonly requests: string[] = [];
  behaviour: Behaviour = (_, forward) => forward();
  readonly #server: http.Server;

  private constructor(target: number) {
    this.#server = http.createServer((incoming, outgoing) => {
      void this.#serve(target, incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(target: number, incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> {
    const request: ProxiedRequest = {
      method: incoming.method ?? "",
      url: incoming.url ?? "",
      headers: incoming.headers,
      body: await bodyOf(incoming),
    };
    this.requests.push(`${request.method} ${request.url}`);
    const reply = await this.behaviour(request, () => forward(target, request));
    if (reply === "silence") return;
    if (reply === "break") {
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(reply.status, reply.headers);
    if (reply.breakAfter === undefined) {
      outgoing.end(reply.body);
      return;
    }
    outgoing.write(reply.body.subarray(0, reply.breakAfter), () => incoming.socket.destroy());
  }
}

async function forward(port: number, { method, url, headers, body }: ProxiedRequest): Promise<Reply> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request(
      { host: "127.0.0.1", port, method, path: url, headers: { ...headers }, agent: false },
      resolve,
    );
    request.once("error", reject);
    request.end(body);
  });
  return { status: response.statusCode ?? 0, headers: response.headers, body: await bodyOf(response) };
}

async function bodyOf(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function s3Error(status: number, code: string): Reply {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>made by a test</Message></Error>`;
  return { status, headers: { "content-type": "application/xml" }, body: Buffer.from(body) };
}
