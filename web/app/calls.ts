import type { ApiError } from "../../schemas/api/shared.ts";

/** An answer that is no success: what was expected, found, and what to do. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly status: number;
  readonly code: string;
  readonly field: string | null;
  readonly said: readonly unknown[];

  constructor(status: number, error: ApiError["error"]) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.field = error.field ?? null;
    this.said = error.said ?? [];
  }
}

/** A path with a query, values encoded; those that are undefined are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const text = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) =>
      value === undefined || value === "" ? [] : [[name, String(value)]],
    ),
  ).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** What a call sends beside its path */
interface Sent {
  readonly method?: "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** Throws CallError; a server that is away is one with status 0. */
export async function call<T>(path: string, init: Sent = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { accept: "application/json", ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new CallError(0, {
      code: "E_AWAY",
      message: "The server does not answer. Start it again with `sluice serve`; this page goes on by itself.",
    });
  }
  const text = await response.text();
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (response.ok && json !== null) return json as T;
  const { error } = (json ?? {}) as Partial<ApiError>;
  throw new CallError(
    response.status,
    error ?? { code: "E_ANSWER", message: `The server answered with ${response.status} and no reason.` },
  );
}

export function post<T>(path: string, body: unknown): Promise<T> {
  return call<T>(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

/** Where a class is shown. By its name: its number is another one where other classes are declared since. */
export const classUrl = (label: string): string => `/class/${encodeURIComponent(`name:${label}`)}`;

export const pictureUrl = (sha256: string, side: 96 | 192 | 384 | 1024): string =>
  `/api/images/${sha256}/picture?side=${side}`;
