import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SluiceError } from "../../schemas/errors.js";
import { Refusal } from "./refusal.js";

/** A token that can be guessed is none. */
const LEAST_TOKEN = 16;

export interface GuardOptions {
  readonly host: string;
  readonly token: string | null;
  /** What is served, for messages */
  readonly command?: "serve" | "gateway";
}

/** Throws E_USAGE where the server would be open to others without a token, or with one that can be guessed. */
export function assertGuarded({ host, token, command = "serve" }: GuardOptions): void {
  if (!isLoopback(host) && token === null) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a token to serve on ${host}, where others can reach it, found none. Give one of at least ${LEAST_TOKEN} characters with SLUICE_${command.toUpperCase()}_TOKEN or --token-file, or serve on 127.0.0.1.`,
    );
  }
  if (token !== null && !/^[\x21-\x7e]*$/.test(token)) {
    throw new SluiceError(
      "E_USAGE",
      "Expected a token of letters, digits and signs, found one with spaces or other characters.",
    );
  }
  if (token !== null && token.length < LEAST_TOKEN) {
    throw new SluiceError(
      "E_USAGE",
      `Expected a token of at least ${LEAST_TOKEN} characters, found ${token.length}. \`openssl rand -hex 24\` makes one.`,
    );
  }
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Lets a request in, or throws: the name that it was addressed to must be ours (a foreign page may have its own name point here),
 * what comes from another site is refused, and where there is a token, so is what does not have it.
 */
export function admit(request: IncomingMessage, { host, token, command = "serve" }: GuardOptions): void {
  const { headers, method } = request;
  const addressed = headers.host ?? "";
  const name = addressed.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  if (token === null && !isLoopback(name)) {
    throw new Refusal(
      421,
      "E_USAGE",
      `Expected to be addressed as localhost, found the host "${shown(name)}". Use the address that \`sluice ${command}\` printed.`,
    );
  }
  if (token !== null && !isLoopback(host) && name === "") {
    throw new Refusal(421, "E_USAGE", "Expected a Host header, found none.");
  }
  const site = headers["sec-fetch-site"];
  // A link from elsewhere leads to the page; what the API does, only the page asks for.
  const isNavigation =
    headers["sec-fetch-mode"] === "navigate" && method === "GET" && !/^\/+api(\/|$)/.test(request.url ?? "");
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isNavigation) {
    throw new Refusal(403, "E_USAGE", "Expected a call from this page itself, found one from another site.");
  }
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${addressed}` && origin !== `https://${addressed}`) {
    throw new Refusal(403, "E_USAGE", `Expected a call from this page itself, found one from ${shown(origin)}.`);
  }
  if (token !== null && !hasToken(request, token)) {
    throw new Refusal(
      401,
      "E_USAGE",
      `Expected the token that the server was started with. ${command === "serve" ? "Open the page as /?token=…, or send" : "Send"} it as \`Authorization: Bearer …\`.`,
    );
  }
}

/** Cookies know no ports: each server of a host has its own. */
export function tokenCookie({ socket }: Pick<IncomingMessage, "socket">): string {
  return `sluice-token-${socket.localPort ?? 0}`;
}

export function hasToken(request: IncomingMessage, token: string): boolean {
  const { headers } = request;
  const name = `${tokenCookie(request)}=`;
  const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  const cookie = (headers.cookie ?? "")
    .split(/;\s*/)
    .find((part) => part.startsWith(name))
    ?.slice(name.length);
  return [bearer, cookie === undefined ? undefined : decoded(cookie)].some(
    (given) => given !== undefined && isSame(given, token),
  );
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Takes as long for a guess that is nearly right as for another. */
export function isSame(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

/** What a page of ours may do: its own files only, no frames, no plugins. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const shown = (text: string): string => text.slice(0, 100).replace(/[^\x20-\x7e]/g, "?");
