import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assignmentOverride } from "../../../cli/config/override.js";
import { loadConfig } from "../../../cli/load-config.js";
import { startingYaml } from "../../../cli/sluice-yaml.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, mutateBytes, mutateJson, oneOf } from "../mutate.js";

const SETTINGS = {
  teacher: "teacher",
  bytes: "keep",
  engine: { workers: 1, batch: 8 },
  archive: { topM: 10, segmentRecords: 8 },
  s3: { endpoint: "http://127.0.0.1:9000", bucket: "sluice", accessKey: "a", secretKey: "b", prefix: "p" },
  kafka: { brokers: ["127.0.0.1:9092"], sasl: { mechanism: "plain", username: "u", password: "p" } },
  sources: { allow: { roots: ["/srv/images"], buckets: ["s3://images"] } },
  datasets: [
    { name: "d", window: { kind: "hopping", sizeMs: 86400000, hopMs: 3600000 }, select: { k: 5, p: 3 } },
    { name: "e", select: { k: { "*": 3 }, p: 1 }, trigger: { schedule: "0 3 * * *", timeZone: "Europe/Zurich" } },
  ],
};

/** Names that grow by ten with each line: a gigabyte of list from a kilobyte of text */
function laughs(levels: number): string {
  const lines = [`a0: &a0 [x, x, x, x, x, x, x, x, x, x]`];
  for (let level = 1; level < levels; level++)
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ")}]`);
  return lines.join("\n");
}

const WHOLE = [
  laughs(9),
  "a: &a [*a]",
  "[".repeat(3000),
  "{a: ".repeat(3000),
  "!!js/function 'return 1'",
  "!!binary AAAA",
  "<<: {data: x}",
  "data: !!set {a, b}",
  "? [a]\n: b",
  "%YAML 3.0\n---\n",
  "--- a\n--- b\n",
  "\ufeffdata: x",
  "data: 2024-01-01",
  "__proto__: {data: x}",
  "datasets: [{name: __proto__}]",
];

export const CONFIGURATION: FuzzTarget = {
  name: "configuration",
  what: "sluice.yaml, assignments of the command line, and variables",
  extension: "yaml",
  prepare: async (folder) => {
    const corpus = [
      Buffer.from(startingYaml({ schema: "./schema.json", teacher: "teacher" })),
      Buffer.from(JSON.stringify(SETTINGS)),
    ];
    return {
      make: (next) => {
        const kind = below(next, 8);
        if (kind === 0) return mutateBytes(next, Buffer.from(oneOf(next, WHOLE)), oneOf(next, corpus));
        return kind < 5 ? mutateJson(next, corpus[1]!) : mutateBytes(next, oneOf(next, corpus), oneOf(next, corpus));
      },
      run: async (bytes) => {
        await writeFile(join(folder, "sluice.yaml"), bytes);
        const text = Buffer.from(bytes).toString();
        const flags =
          text.length < 200
            ? [assignmentOverride(`select.k=${text}`), assignmentOverride(text.replaceAll("\n", "="))]
            : [];
        await loadConfig({ file: null, folder, environment: {}, flags });
      },
    };
  },
};
