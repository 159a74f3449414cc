import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import type { FuzzTarget } from "../fuzz-target.js";
import { mutateJson, oneOf } from "../mutate.js";
import { smallStore } from "./small-store.js";

const BUILT = join(import.meta.dirname, "..", "..", "..", "schemas");

/** Every schema that schemas/ exports, by file and name */
async function allSchemas(): Promise<Map<string, z.ZodType>> {
  const found = new Map<string, z.ZodType>();
  for (const file of await readdir(BUILT, { recursive: true })) {
    if (!file.endsWith(".js")) continue;
    const exported = (await import(pathToFileURL(join(BUILT, file)).href)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(exported))
      if (value instanceof z.ZodType) found.set(`${file} ${name}`, value);
  }
  return found;
}

export const SCHEMAS: FuzzTarget = {
  name: "schemas",
  what: "manifests and all other objects of JSON, by every schema: each takes or refuses, and none throws",
  extension: "json",
  prepare: async (folder) => {
    const schemas = [...(await allSchemas())];
    const store = await smallStore(folder);
    const corpus = [...store.objects].filter(([key]) => key.endsWith(".json")).map(([, bytes]) => bytes);
    return {
      make: (next) => mutateJson(next, oneOf(next, corpus)),
      run: async (bytes) => {
        let value: unknown;
        try {
          value = JSON.parse(Buffer.from(bytes).toString());
        } catch (error) {
          if (error instanceof SyntaxError) return;
          throw error;
        }
        // Members reach the schemas of what they are, too.
        const parts: unknown[] = [
          value,
          ...(value !== null && typeof value === "object" ? (Object.values(value) as unknown[]) : []),
        ];
        for (const [name, schema] of schemas) {
          for (const part of parts) {
            try {
              schema.safeParse(part);
            } catch (error) {
              throw new TypeError(`${name} threw`, { cause: error });
            }
          }
        }
        if (({} as { polluted?: unknown }).polluted !== undefined) throw new TypeError("a prototype was changed");
      },
    };
  },
};
