import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";

export interface ServerPlace {
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
  readonly ca?: string | Buffer;
}

/** What time it is for a server, by the Date of any answer, to the second; ms since the epoch. null where it does not say, or does not answer in time. */
export function serverTimeMs({ endPoint, port, useSSL, ca }: ServerPlace, withinMs = 5_000): Promise<number | null> {
  return new Promise((resolve) => {
    const options = {
      host: endPoint,
      port,
      method: "HEAD",
      signal: AbortSignal.timeout(withinMs),
      ...(ca === undefined ? {} : { ca }),
    };
    const asked = (useSSL ? tlsRequest : plainRequest)(options, (answer) => {
      answer.resume();
      const told = Date.parse(answer.headers.date ?? "");
      resolve(Number.isNaN(told) ? null : told);
    });
    // What is wrong with the connection, the store's own requests say.
    asked.on("error", () => {
      resolve(null);
    });
    asked.end();
  });
}
