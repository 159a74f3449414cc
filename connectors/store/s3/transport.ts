import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";

/** What the `minio` client sends its requests through. */
export type Transport = Pick<typeof http, "request">;

/** A status that says "not now"; the client itself would leave such a response unread and its socket blocked. */
export class TransientStatus extends Error {
  constructor(
    readonly status: number,
    /** S3's own error code, where the body has one */
    readonly code: string,
  ) {
    super(`HTTP status ${status}${code === "" ? "" : ` (${code})`}`);
  }
}

/** The server said nothing for as long as one waits. */
export class Stalled extends Error {
  constructor(stallMs: number) {
    super(`no answer and no bytes for ${stallMs / 1000} s`);
  }
}

const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 520]);
const ERROR_BODY_BYTES = 64 * 1024;

/**
 * Requests through one agent, which fail with `Stalled` when the server falls silent (a stopped server, a lost route),
 * and with `TransientStatus` on statuses that are worth another attempt. The `minio` client's own retry is off: it would
 * hide how often a write was sent.
 */
export function s3Transport(useSSL: boolean, agent: http.Agent, stallMs: number): Transport {
  const send = useSSL ? https.request : http.request;
  const request = (options: http.RequestOptions, respond: (response: http.IncomingMessage) => void) => {
    let answered: http.IncomingMessage | null = null;
    const sent = send({ ...options, agent }, (response) => {
      answered = response;
      if (TRANSIENT.has(response.statusCode ?? 0)) refuse(sent, response);
      else respond(response);
    });
    const onSilence = (socket: Socket): void => {
      // With bytes waiting to be read it is the reader who is slow, not the server: the time counts anew, for what comes behind them.
      if (answered === null || answered.readableLength === 0) sent.destroy(new Stalled(stallMs));
      else socket.setTimeout(stallMs);
    };
    // A request itself would hear of the first silence alone.
    sent.once("socket", (socket) => {
      const heard = (): void => {
        onSilence(socket);
      };
      socket.setTimeout(stallMs).on("timeout", heard);
      sent.once("close", () => socket.off("timeout", heard));
    });
    return sent;
  };
  return { request: request as Transport["request"] };
}

/** Reads the response to its end, so that the socket can be used again, and fails the request. */
function refuse(request: http.ClientRequest, response: http.IncomingMessage): void {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  const fail = (): void => {
    const code = /<Code>([A-Za-z0-9]+)<\/Code>/.exec(Buffer.concat(chunks).toString())?.[1] ?? "";
    request.emit("error", new TransientStatus(response.statusCode ?? 0, code));
  };
  response.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes <= ERROR_BODY_BYTES) chunks.push(chunk);
  });
  response.once("end", fail);
  response.once("error", fail);
}
