import type { SourceFile, Violation } from "./source-file.js";

/** Words that name nothing (DESIGN, "Names"; STYLE). */
const FORBIDDEN = [
  "node",
  "processor",
  "handler",
  "manager",
  "helper",
  "helpers",
  "data",
  "info",
  "util",
  "utils",
  "common",
  "misc",
];

/** Of a file of the product; a test may list its cases at length. */
const MAX_LINES = 400;

/** Names that hold a forbidden word for a reason of their own. */
const ALLOWED: Readonly<Record<string, string>> = {
  EngineInfo: "what the contract `Engine` calls what an engine says of itself; segments already written hold it",
  engineInfoSchema: "as EngineInfo",
  GraphNode: "TensorFlow's word for one operation of a graph model",
};

/** Files and exported names that break the naming rules, files past the greatest length. */
export function namingViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, lineCount, exportedNames }) => [
    ...fileNameViolations(path),
    ...(lineCount > MAX_LINES && !path.startsWith("test/")
      ? [`${path}: has ${lineCount} lines; at most ${MAX_LINES}: it is more than one idea`]
      : []),
    ...exportedNames.flatMap(({ name, line }) => {
      const word = forbiddenWord(wordsOf(name));
      return word === null || name in ALLOWED ? [] : [`${path}:${line}: exports ${name}; "${word}" names nothing`];
    }),
  ]);
}

function fileNameViolations(path: string): Violation[] {
  const steps = path.split("/");
  const found: Violation[] = [];
  const file = steps.at(-1)!;
  if (/^index\.[a-z]+$/.test(file)) found.push(`${path}: no index files: a file is named after its one idea`);
  for (const step of steps) {
    const stem = step.replace(/(\.(test|integration|native|browser|d))?\.[a-z]+$/, "");
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)) found.push(`${path}: "${step}" is not in kebab-case`);
    const word = forbiddenWord(stem.split("-"));
    if (word !== null) found.push(`${path}: "${word}" names nothing`);
  }
  return found;
}

function forbiddenWord(words: readonly string[]): string | null {
  return words.find((word) => FORBIDDEN.includes(word.toLowerCase())) ?? null;
}

/** `engineInfoSchema` → engine, Info, Schema; `MAX_DATA` → MAX, DATA */
function wordsOf(name: string): string[] {
  return name.split(/_|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/).filter((word) => word !== "");
}
