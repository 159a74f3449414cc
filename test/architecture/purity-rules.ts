import ts from "typescript";
import { isPure } from "./pure-files.js";
import { lineOf, visitAll, type SourceFile, type Violation } from "./source-file.js";

/** What reaches outside: the machine, the clock, chance, other turns of the event loop. */
const IMPURE_GLOBALS = new Set([
  "process",
  "globalThis",
  "console",
  "performance",
  "crypto",
  "fetch",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "Promise",
  "Worker",
  "WebSocket",
  "require",
  "Atomics",
  "FinalizationRegistry",
  "WeakRef",
]);

/** Of Node's modules, hashing alone is a function of its input. */
const PURE_NODE_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  "node:crypto": ["createHash", "hash", "Hash"],
};

/** Packages without effects of their own. */
const PURE_PACKAGES = new Set(["zod", "apache-arrow"]);

/** Operators that must only compute and do I/O, read a clock, draw at random or wait. */
export function purityViolations(files: readonly SourceFile[]): Violation[] {
  return files.filter(({ path }) => isPure(path)).flatMap(impurities);
}

function impurities(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const refuse = (line: number, what: string): void => {
    found.push(`${file.path}:${line}: ${what}, but it is pure: no I/O, clock, randomness or waiting`);
  };
  for (const { specifier, names, line } of file.references) {
    if (specifier.startsWith(".") || PURE_PACKAGES.has(specifier)) continue;
    const allowed = PURE_NODE_IMPORTS[specifier] ?? [];
    if (names.length === 0 || !names.every((name) => allowed.includes(name))) {
      refuse(line, `imports ${names.length === 0 ? "" : `${names.join(", ")} from `}${specifier}`);
    }
  }
  const { tree } = file;
  visitAll(tree, (node) => {
    const line = (): number => lineOf(tree, node);
    if (node.kind === ts.SyntaxKind.AsyncKeyword) refuse(line(), "uses async");
    else if (ts.isAwaitExpression(node)) refuse(line(), "uses await");
    else if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) refuse(line(), "uses for await");
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      refuse(line(), "imports dynamically");
    } else if (ts.isIdentifier(node) && isFreeName(node)) {
      if (IMPURE_GLOBALS.has(node.text)) refuse(line(), `uses ${node.text}`);
      else if (node.text === "Date" && !isPureDate(node)) refuse(line(), "reads the clock (Date)");
      else if (node.text === "Math" && memberOf(node) === "random") refuse(line(), "uses Math.random");
    }
  });
  return found;
}

/** Whether the identifier refers to a name in scope, and is no member, property, declaration or type. */
function isFreeName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node;
  if (ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent) || ts.isTypeQueryNode(parent)) return false;
  return !(
    (ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isMethodDeclaration(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isParameter(parent) ||
      ts.isVariableDeclaration(parent) ||
      ts.isFunctionDeclaration(parent) ||
      ts.isImportSpecifier(parent) ||
      ts.isBindingElement(parent)) &&
    parent.name === node
  );
}

function memberOf(node: ts.Identifier): string | null {
  return ts.isPropertyAccessExpression(node.parent) && node.parent.expression === node ? node.parent.name.text : null;
}

/** `new Date(ms)`, `Date.UTC(…)` and `Date.parse(…)` are functions of their input. */
function isPureDate(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isNewExpression(parent) && parent.expression === node) return (parent.arguments?.length ?? 0) > 0;
  if (ts.isBinaryExpression(parent)) return true; // x instanceof Date
  return ["UTC", "parse"].includes(memberOf(node) ?? "");
}
