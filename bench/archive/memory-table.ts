import type { LocalTable } from "../../pipelines/flow/score-index.js";

/** A table of a machine that knows nothing yet. */
export function memoryTable(): LocalTable {
  const entries = new Map<string, Uint8Array>();
  const nameOf = (key: Uint8Array): string => Buffer.from(key).toString("latin1");
  return {
    get: (key) => entries.get(nameOf(key)),
    putMany: (added) => {
      for (const [key, value] of added) entries.set(nameOf(key), value);
      return Promise.resolve();
    },
  };
}
