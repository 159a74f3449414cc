import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSource, type SourceFile } from "./source-file.js";

/** The repository that this test was compiled from. */
export const ROOT = rootFrom(import.meta.dirname);

const FOLDERS = [
  "schemas",
  "operators",
  "connectors",
  "pipelines",
  "cli",
  "web",
  "deploy",
  "bench",
  "examples",
  "test",
];

let parsed: SourceFile[] | undefined;

/** Every source file of ours, and the configuration of the tools. */
export function sourceFiles(): readonly SourceFile[] {
  return (parsed ??= parseAll());
}

function parseAll(): SourceFile[] {
  const paths = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .map((path) => `${folder}/${path.replaceAll("\\", "/")}`)
      .filter((path) => /\.tsx?$/.test(path) && !path.includes("/node_modules/")),
  );
  return [...paths.sort(), "eslint.config.js"].map((path) => parseSource(path, textOf(path)));
}

/** README.md, CONTRIBUTING.md and the pages in docs/, by their paths. */
export function documents(): string[] {
  return [
    ...["README.md", "CONTRIBUTING.md"].filter((path) => existsSync(join(ROOT, path))),
    ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".md"))
      .map((path) => `docs/${path}`),
  ].sort();
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

function rootFrom(folder: string): string {
  return existsSync(join(folder, "package.json")) ? folder : rootFrom(dirname(folder));
}
