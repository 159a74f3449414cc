import ts from "typescript";

/** Something a file reaches for: by import, re-export, dynamic import, or a worker's `new URL("./x.js", import.meta.url)`. */
export interface Reference {
  /** as written */
  readonly specifier: string;
  /** Names taken from it; empty where the whole module is */
  readonly names: readonly string[];
  readonly line: number;
}

export interface SourceFile {
  /** relative to the repository, with `/` */
  readonly path: string;
  readonly lineCount: number;
  readonly references: readonly Reference[];
  readonly exportedNames: readonly { readonly name: string; readonly line: number }[];
  readonly tree: ts.SourceFile;
}

/** A broken rule, with its place: `operators/topk/topk.ts:12: …`. */
export type Violation = string;

/** Calls that load or find a module by its name. */
const RESOLVERS = /^(require|require\.resolve|import\.meta\.resolve|createRequire\(import\.meta\.url\)(\.resolve)?)$/;

export function parseSource(path: string, text: string): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const references: Reference[] = [];
  const exportedNames: { name: string; line: number }[] = [];

  visitAll(tree, (node) => {
    const line = lineOf(tree, node);
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      references.push({ specifier: node.moduleSpecifier.text, names: importedNames(node.importClause), line });
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      references.push({ specifier: node.moduleSpecifier.text, names: [], line });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      if (argument && ts.isStringLiteralLike(argument)) references.push({ specifier: argument.text, names: [], line });
    } else if (ts.isCallExpression(node) && node.arguments.length === 1) {
      const [argument] = node.arguments;
      if (!ts.isStringLiteral(argument!)) return;
      if (RESOLVERS.test(node.expression.getText(tree))) references.push({ specifier: argument.text, names: [], line });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { literal } = node.argument;
      if (ts.isStringLiteral(literal)) references.push({ specifier: literal.text, names: [], line });
    } else if (ts.isNewExpression(node) && node.expression.getText(tree) === "URL" && node.arguments?.length === 2) {
      const [target, base] = node.arguments;
      if (
        ts.isStringLiteral(target!) &&
        /^\.\.?\/.*\.js$/.test(target.text) &&
        /import\.meta/.test(base!.getText(tree))
      ) {
        references.push({ specifier: target.text, names: [], line });
      }
    }
    for (const name of namesExportedBy(node)) exportedNames.push({ name, line });
  });
  return { path, lineCount: text.split("\n").length - (text.endsWith("\n") ? 1 : 0), references, exportedNames, tree };
}

export function visitAll(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => {
    visitAll(child, visit);
  });
}

/** from 1 */
export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

function importedNames(clause: ts.ImportClause | undefined): string[] {
  const bindings = clause?.namedBindings;
  if (clause?.name !== undefined || bindings === undefined || !ts.isNamedImports(bindings)) return [];
  return bindings.elements.map((element) => (element.propertyName ?? element.name).text);
}

function namesExportedBy(node: ts.Node): string[] {
  if (ts.isExportSpecifier(node)) return [node.name.text];
  if (!ts.canHaveModifiers(node) || !ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
    return [];
  }
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
  }
  const { name } = node as ts.Node & { name?: ts.Node };
  return name !== undefined && ts.isIdentifier(name) ? [name.text] : [];
}
