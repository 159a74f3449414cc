import type { ServerResponse } from "node:http";
import type { z } from "zod";
import type { Console } from "./console.js";

type Shape = Readonly<Record<string, z.ZodType>>;
type Values<S extends Shape> = { readonly [Name in keyof S]: z.output<S[Name]> };

/** What an operation is called with, validated. */
export interface Call<Path extends Shape, Query extends Shape, Body> {
  readonly console: Console;
  readonly path: Values<Path>;
  readonly query: Values<Query>;
  readonly body: Body;
  /** Aborts when the caller has gone */
  readonly signal: AbortSignal;
  /** For answers that are no JSON */
  readonly response: ServerResponse;
}

/** One call of the API: what it takes, what it answers, and what it says of itself in the OpenAPI document. */
export interface Operation {
  readonly method: "GET" | "POST";
  /** `/api/versions/{dataset}`; names in braces are keys of `path` */
  readonly route: string;
  readonly summary: string;
  readonly path: Shape;
  readonly query: Shape;
  readonly body: z.ZodType | null;
  /** A schema of JSON, or the media types of what is streamed */
  readonly answer: z.ZodType | readonly string[];
  readonly run: (call: Call<Shape, Shape, unknown>) => Promise<unknown>;
}

interface Described<Path extends Shape, Query extends Shape, Body extends z.ZodType> {
  readonly route: string;
  readonly summary: string;
  readonly path?: Path;
  readonly query?: Query;
  readonly body?: Body;
}

const NOTHING = {};

/** An operation that answers with JSON of `answer`. */
export function answering<
  Answer extends z.ZodType,
  Path extends Shape = typeof NOTHING,
  Query extends Shape = typeof NOTHING,
  Body extends z.ZodType = z.ZodNever,
>(
  described: Described<Path, Query, Body> & { readonly answer: Answer },
  run: (call: Call<Path, Query, z.output<Body>>) => Promise<z.input<Answer>>,
): Operation {
  const { route, summary, path, query, body, answer } = described;
  return {
    method: body === undefined ? "GET" : "POST",
    route,
    summary,
    path: path ?? NOTHING,
    query: query ?? NOTHING,
    body: body ?? null,
    answer,
    run: run as unknown as Operation["run"],
  };
}

/** An operation that writes its answer itself, as one of `types`. */
export function streaming<Path extends Shape = typeof NOTHING, Query extends Shape = typeof NOTHING>(
  described: Described<Path, Query, z.ZodNever> & { readonly types: readonly string[] },
  run: (call: Call<Path, Query, never>) => Promise<void>,
): Operation {
  const { route, summary, path, query, types } = described;
  return {
    method: "GET",
    route,
    summary,
    path: path ?? NOTHING,
    query: query ?? NOTHING,
    body: null,
    answer: types,
    run: run as unknown as Operation["run"],
  };
}
