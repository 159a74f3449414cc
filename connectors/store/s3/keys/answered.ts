import http from "node:http";
import https from "node:https";
import { messageOf, SluiceError } from "../../../../schemas/errors.js";

export interface Asked {
  readonly method: "GET" | "PUT" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM of the authorities to trust */
  readonly ca?: string | undefined;
  readonly withinMs?: number;
}

export interface Answered {
  readonly status: number;
  readonly text: string;
}

const MOST_BYTES = 256 * 1024;

/** What a server that gives keys answers. Throws E_STORE_IO, retryable, where it does not. `what` is named to people. */
export async function answered(url: string, what: string, asked: Asked): Promise<Answered> {
  const { method, headers = {}, body = "", ca, withinMs = 10_000 } = asked;
  const signal = AbortSignal.timeout(withinMs);
  const send = url.startsWith("https:") ? https.request : http.request;
  try {
    return await new Promise<Answered>((resolve, reject) => {
      const options = { method, headers: { ...headers, "Content-Length": Buffer.byteLength(body) }, signal };
      const request = send(url, { ...options, ...(ca === undefined ? {} : { ca }) }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          if (text.length < MOST_BYTES) text += piece;
        });
        response.once("end", () => {
          resolve({ status: response.statusCode ?? 0, text });
        });
        response.once("error", reject);
      });
      request.once("error", reject);
      request.end(body);
    });
  } catch (cause) {
    throw new SluiceError("E_STORE_IO", `Expected ${what} to answer at ${url}, found: ${messageOf(cause)}.`, {
      cause,
      retryable: true,
    });
  }
}
