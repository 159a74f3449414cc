import ts from "typescript";
import { lineOf, visitAll, type SourceFile, type Violation } from "./source-file.js";

/** Where failures must be named: the product. */
const FOLDERS = ["schemas", "operators", "connectors", "pipelines", "cli", "web"];

/** A catch that takes every failure for an answer, by file and what it is in, with why that is right there. */
export const CATCHES_ALL: Readonly<Record<string, string>> = {
  "cli/config/override.ts valueOf": "text that is no YAML is text; the parser has no other failure",
  "cli/replay-arguments.ts boundArgument": "its only failure says that the text is no time, and is said better here",
  "schemas/trigger.ts <file>": "the cron library has one kind of error: the line is none",
  "connectors/decoder/jpeg/turbojpeg.ts load":
    "koffi says in words of its own what is not here; libvips decodes everything",
  "connectors/log/embedded/lmdb-folder.ts freeBytesOf":
    "asked while a failure is put into words, which must not be lost",
  "connectors/log/embedded/ownership.ts touch":
    "runs on a timer; the next transaction meets the same failure, and says it",
  "connectors/sheet/thumbnail.ts thumbnail": "libvips has one kind of error, and all of them are the image's",
  "connectors/sheet/sharp.ts square": "libvips has one kind of error, and all of them are the image's",
  "operators/archive/pins.ts readPin":
    "bytes in memory; whatever is wrong with a pin, it holds everything until it is deleted",
  "connectors/decoder/headers/gif-end.ts withGifEnd": "libvips has one kind of error, and all of them are the file's",
  "connectors/decoder/headers/jpeg-end.ts withEnd": "libvips has one kind of error, and all of them are the file's",
};

/**
 * Catches that name no failure: those that do not look at what was thrown. `catch { … }` and `.catch(() => …)` take a full
 * disk for a missing file. A function that is passed by its name is looked at where it is written.
 */
export function catchViolations(
  files: readonly SourceFile[],
  allowed: Readonly<Record<string, string>> = CATCHES_ALL,
): Violation[] {
  const met = new Set<string>();
  const found = files.filter(isProduct).flatMap(({ path, tree }) => {
    const violations: Violation[] = [];
    visitAll(tree, (node) => {
      const caught = ts.isCatchClause(node) ? node : handlerOf(node);
      if (caught === null || usesFailure(caught)) return;
      const place = `${path} ${functionAround(node)}`;
      met.add(place);
      if (place in allowed) return;
      violations.push(
        `${path}:${lineOf(tree, node)}: takes every failure for an answer (${place}): name its code, as orNull does, or let it pass`,
      );
    });
    return violations;
  });
  const gone = Object.keys(allowed).filter((place) => !met.has(place));
  return [...found, ...gone.map((place) => `${place}: is allowed to catch everything, and catches nothing any more`)];
}

const isProduct = ({ path }: SourceFile): boolean => FOLDERS.some((folder) => path.startsWith(`${folder}/`));

/** The function that `.catch(…)` is given, where it is written there. */
function handlerOf(node: ts.Node): ts.ArrowFunction | ts.FunctionExpression | null {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return null;
  if (node.expression.name.text !== "catch") return null;
  const [handler] = node.arguments;
  return handler !== undefined && (ts.isArrowFunction(handler) || ts.isFunctionExpression(handler)) ? handler : null;
}

function usesFailure(caught: ts.CatchClause | ts.ArrowFunction | ts.FunctionExpression): boolean {
  const name = ts.isCatchClause(caught) ? caught.variableDeclaration?.name : caught.parameters[0]?.name;
  const body = ts.isCatchClause(caught) ? caught.block : caught.body;
  let uses = false;
  visitAll(body, (node) => {
    if (ts.isIdentifier(node) && name !== undefined && ts.isIdentifier(name) && node.text === name.text) uses = true;
  });
  return uses;
}

/** The name of the function, method or variable that something is written in. */
function functionAround(node: ts.Node): string {
  for (let at = node.parent; !ts.isSourceFile(at); at = at.parent) {
    if ((ts.isFunctionDeclaration(at) || ts.isMethodDeclaration(at)) && at.name !== undefined) return at.name.getText();
    if (ts.isVariableDeclaration(at) && at.initializer !== undefined && ts.isFunctionLike(at.initializer))
      return at.name.getText();
  }
  return "<file>";
}
