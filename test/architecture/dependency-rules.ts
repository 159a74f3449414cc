import { builtinModules } from "node:module";
import type { SourceFile, Violation } from "./source-file.js";

export interface Package {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  /** What travels in the package itself: folders of this repository that stand in for packages */
  readonly bundleDependencies?: readonly string[];
  readonly scripts?: Readonly<Record<string, string>>;
}

/** Folders whose code runs from a checkout only, so that it may use what is installed for development. */
const DEVELOPMENT = /^(test|bench|examples|deploy|web\/app)\/|^[^/]+$/;

/** A package's commands, where they are called otherwise than the package. */
const COMMANDS: Readonly<Record<string, string>> = { tsc: "typescript" };

/**
 * Packages imported but not declared, declared but not used, and declared without a line in the list of decisions.
 * `files` holds the configuration of the tools (eslint.config.js) as well.
 */
export function dependencyViolations(files: readonly SourceFile[], declared: Package, decisions: string): Violation[] {
  const shipped = new Set(
    [declared.dependencies, declared.peerDependencies, declared.optionalDependencies].flatMap(namesOf),
  );
  const all = new Set([...shipped, ...namesOf(declared.devDependencies)]);
  const used = new Set<string>(
    Object.values(declared.scripts ?? {})
      .flatMap((line) => line.split(/\s+/))
      .map((word) => COMMANDS[word] ?? word),
  );
  for (const name of declared.bundleDependencies ?? []) used.add(name);
  // A peer is looked for by its name, where somebody has installed it.
  for (const name of namesOf(declared.peerDependencies)) {
    if (files.some(({ path, tree }) => !DEVELOPMENT.test(path) && tree.text.includes(`"${name}"`))) used.add(name);
  }
  const found: Violation[] = [];
  for (const { path, references } of files) {
    for (const { specifier, line } of references) {
      const name = packageOf(specifier);
      if (name === null) continue;
      used.add(name);
      if (!all.has(name)) found.push(`${path}:${line}: imports ${name}, which package.json does not declare`);
      else if (!shipped.has(name) && !DEVELOPMENT.test(path)) {
        found.push(`${path}:${line}: imports ${name}, which is installed for development only`);
      }
    }
  }
  for (const name of all) {
    const typed = /^@types\/(.+)$/.exec(name)?.[1]?.replace("__", "/");
    const isUsed =
      used.has(name) ||
      typed === "node" ||
      (typed !== undefined && used.has(typed.includes("/") ? `@${typed}` : typed));
    if (!isUsed) found.push(`package.json: declares ${name}, which nothing uses`);
    if (!decisions.includes(`\`${name}\``)) {
      found.push(`package.json: declares ${name}, which has no line in docs/decisions/001-dependencies.md`);
    }
  }
  return found;
}

/** `@scope/name/file` → `@scope/name`; null for our own files and Node's modules. */
function packageOf(specifier: string): string | null {
  if (specifier.startsWith(".") || specifier.startsWith("node:") || builtinModules.includes(specifier)) return null;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

const namesOf = (dependencies: Readonly<Record<string, string>> | undefined): string[] =>
  Object.keys(dependencies ?? {});
