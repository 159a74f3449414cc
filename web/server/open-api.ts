import { z } from "zod";
import { CODE_VERSION } from "../../schemas/code-version.js";
import { errorSchema } from "../../schemas/api/shared.js";
import type { Operation } from "./operation.js";

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of operations, from the schemas that validate their calls. */
export function openApi(operations: readonly Operation[]): Json {
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const { method, route, summary, path, query, body, answer } = operation;
    const content: Json = isSchema(answer)
      ? { "application/json": { schema: jsonSchema(answer) } }
      : Object.fromEntries(answer.map((type) => [type, {}]));
    (paths[route] ??= {})[method.toLowerCase()] = {
      operationId: `${method.toLowerCase()}${route
        .replace(/^\/api/, "")
        .replace(/[{}]/g, "")
        .replace(/[^a-zA-Z0-9]+/g, "-")}`,
      summary,
      parameters: [
        ...Object.entries(path).map(([name, schema]) => parameter(name, "path", schema)),
        ...Object.entries(query).map(([name, schema]) => parameter(name, "query", schema)),
      ],
      ...(body === null
        ? {}
        : { requestBody: { required: true, content: { "application/json": { schema: jsonSchema(body, "input") } } } }),
      responses: {
        200: { description: "the answer", content },
        default: {
          description:
            "what was expected, what was found, and what to do; `field` names the parameter that is to blame",
          content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
        },
      },
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Sluice console",
      version: CODE_VERSION,
      description: "What `sluice serve` answers; see docs/console.md.",
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: { Error: jsonSchema(errorSchema) },
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "only where the server has a token" } },
    },
  };
}

function parameter(name: string, place: "path" | "query", schema: z.ZodType): Json {
  const described: Json = jsonSchema(schema);
  const { description, ...rest } = described;
  return {
    name,
    in: place,
    required: place === "path",
    ...(typeof description === "string" ? { description } : {}),
    schema: rest,
  };
}

export function isSchema(answer: z.ZodType | readonly string[]): answer is z.ZodType {
  return !Array.isArray(answer);
}

function jsonSchema(schema: z.ZodType, io: "input" | "output" = "output"): Json {
  // Which draft it is, the document says.
  const { $schema: draft, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any", reused: "inline" }) as Json;
  return draft === undefined ? {} : rest;
}
