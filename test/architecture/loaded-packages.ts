import { posix } from "node:path";
import ts from "typescript";
import { sourceFiles } from "./repository.js";
import type { SourceFile } from "./source-file.js";

/** The packages, Node's own aside, that are loaded as soon as a file is: by it and by all that it imports, sorted. Types cost nothing. */
export function packagesLoadedBy(path: string): string[] {
  const files = new Map(sourceFiles().map((file) => [file.path, file]));
  const packages = new Set<string>();
  const seen = new Set<string>();
  const follow = (from: string): void => {
    if (seen.has(from)) return;
    seen.add(from);
    for (const specifier of loadedAtOnce(files.get(from)!)) {
      if (specifier.startsWith(".")) {
        const target = posix.join(posix.dirname(from), specifier).replace(/\.js$/, ".ts");
        // Generated modules have no source of ours.
        if (files.has(target)) follow(target);
      } else if (!specifier.startsWith("node:")) packages.add(specifier);
    }
  };
  follow(path);
  return [...packages].sort();
}

function loadedAtOnce({ tree }: SourceFile): string[] {
  return tree.statements.flatMap((statement) => {
    if (ts.isImportDeclaration(statement) && !isOfTypes(statement.importClause))
      return [(statement.moduleSpecifier as ts.StringLiteral).text];
    if (ts.isExportDeclaration(statement) && !statement.isTypeOnly && statement.moduleSpecifier !== undefined)
      return [(statement.moduleSpecifier as ts.StringLiteral).text];
    return [];
  });
}

/** `import type …`, or one that names types alone */
function isOfTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { namedBindings } = clause;
  return (
    clause.name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.length > 0 &&
    namedBindings.elements.every((one) => one.isTypeOnly)
  );
}
