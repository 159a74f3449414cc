import { once } from "node:events";
import type { Server } from "node:http";
import { SluiceError } from "../../schemas/errors.js";

/** Listens; returns the port. Throws E_USAGE where it cannot be had. */
export async function listening(server: Server, host: string, port: number): Promise<number> {
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

/** The address without a path, for people. */
export function shownHost(host: string, isLoopback: boolean): string {
  return host.includes(":") ? `[${host}]` : isLoopback ? "localhost" : host;
}
