import { posix } from "node:path";
import { isPure } from "./pure-files.js";
import type { SourceFile, Violation } from "./source-file.js";

/** What commands start of the web's part */
const STARTED: readonly string[] = [
  "web/server/serve.ts",
  "web/server/gateway/open-gateway.ts",
  "web/server/mcp/serve-lines.ts",
];

/** A part of the tree (DESIGN, "The parts") and what it may import, itself always included. */
interface Part {
  readonly name: string;
  readonly holds: (path: string) => boolean;
  readonly mayImport: (target: string, importer: string) => boolean;
  readonly said: string;
}

const below =
  (...folders: string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`${folder}/`));

/** `connectors/store/store.ts`: the interface, as against its implementations beside it. */
const isInterface = (path: string): boolean => /^connectors\/([^/]+)\/\1\.ts$/.test(path);
/** What all connectors share lies beside their folders. */
const isShared = (path: string): boolean => /^connectors\/[^/]+\.ts$/.test(path);
const connectorOf = (path: string): string | undefined => /^connectors\/([^/]+)\//.exec(path)?.[1];

const PARTS: readonly Part[] = [
  {
    name: "schemas",
    holds: below("schemas"),
    mayImport: below("schemas"),
    said: "schemas/ imports nothing else of ours",
  },
  {
    name: "pure operators",
    holds: isPure,
    mayImport: (target) => below("schemas")(target) || isPure(target),
    said: "what is pure imports schemas/ and what is pure only",
  },
  {
    name: "operators",
    holds: below("operators"),
    mayImport: (target) => below("schemas", "operators")(target) || isInterface(target),
    said: "operators/ imports schemas/ and connector interfaces (connectors/x/x.ts)",
  },
  {
    name: "connectors",
    holds: below("connectors"),
    mayImport: (target, importer) =>
      below("schemas")(target) ||
      isInterface(target) ||
      isShared(target) ||
      connectorOf(target) === connectorOf(importer),
    said: "connectors/ imports schemas/, its own folder, other interfaces and what lies beside the folders",
  },
  {
    name: "pipelines",
    holds: below("pipelines"),
    mayImport: below("schemas", "operators", "connectors", "pipelines"),
    said: "pipelines/ imports schemas/, operators/ and connectors/",
  },
  {
    name: "the page",
    holds: below("web/app"),
    mayImport: below("web/app", "schemas"),
    said: "web/app/ runs in a browser: it imports schemas/ and itself",
  },
  {
    name: "the server",
    holds: below("web/server"),
    mayImport: below("web/server", "schemas", "pipelines"),
    said: "web/server/ imports pipelines/ and schemas/",
  },
  {
    name: "cli",
    holds: below("cli"),
    mayImport: (target) => below("schemas", "pipelines", "cli")(target) || STARTED.includes(target),
    said: "cli/ imports pipelines/ and schemas/, and starts the servers by what STARTED names",
  },
  {
    name: "bench",
    holds: below("bench"),
    mayImport: (target) => !below("test")(target) || below("test/fixtures")(target),
    said: "bench/ imports of test/ only its fixtures",
  },
  {
    // readers.ts finds its Python where the benches put theirs.
    name: "tests",
    holds: (path) => below("test")(path) && !below("test/bench")(path) && path !== "test/readers.ts",
    mayImport: (target) => !below("bench")(target),
    said: "test/ imports bench/ in test/bench/ only",
  },
  {
    name: "deploy and examples",
    holds: below("deploy", "examples"),
    mayImport: (target) => !below("test", "bench")(target),
    said: "nothing that people run imports test/ or bench/",
  },
];

/** Imports against the direction that DESIGN gives, and imports of files that are not there. */
export function importViolations(files: readonly SourceFile[]): Violation[] {
  const paths = new Set(files.map(({ path }) => path));
  return files.flatMap((file) => {
    const part = PARTS.find(({ holds }) => holds(file.path));
    return file.references.flatMap(({ specifier, line }): Violation[] => {
      if (!specifier.startsWith(".")) return [];
      const target = posix.join(posix.dirname(file.path), specifier).replace(/\.js$/, ".ts");
      // The page's style is its bundler's to find.
      if (target.endsWith(".css")) return [];
      const place = `${file.path}:${line}`;
      if (!paths.has(target)) return [`${place}: imports ${target}, which is not there`];
      return part === undefined || part.mayImport(target, file.path)
        ? []
        : [`${place}: imports ${target}, but ${part.said}`];
    });
  });
}
