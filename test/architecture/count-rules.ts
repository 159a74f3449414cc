import ts from "typescript";
import type { SourceFile, Violation } from "./source-file.js";

/** What messages count. Classes and bytes are left out: there are at least two of the ones, and many of the others. */
const COUNTED =
  "images|pictures|rows|records|segments|labels|packs|versions|shards|files|messages|offsets|entries|members|objects|runs|steps|folders|sheets|datasets|topics|partitions|processes|workers";

/** A number's noun follows it, with one adjective at most. */
const NOUN = new RegExp(`^ (?:(?!of |in |and |or |which |has |names |holds |matches )[a-z]+ )?(?:${COUNTED})\\b`);

/** Where people read what is said */
const SPEAKING = /^(cli|pipelines|operators|connectors|schemas|web\/server|deploy|examples)\//;

/** Texts that would say "1 images": a number and its noun are written by `counted`, or stand where the number is not 1. */
export function countViolations(files: readonly SourceFile[]): Violation[] {
  return files.filter(({ path }) => SPEAKING.test(path)).flatMap(({ path, tree }) => inTree(path, tree));
}

function inTree(path: string, tree: ts.SourceFile): Violation[] {
  const found: Violation[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTemplateSpan(node) && NOUN.test(node.literal.text) && mayBeOne(node, tree)) {
      const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
      const said = `${node.expression.getText(tree)}${NOUN.exec(node.literal.text)![0]}`;
      found.push(`${path}:${line + 1}: says "${said}" of 1 as well; write it by counted()`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function mayBeOne(span: ts.TemplateSpan, tree: ts.SourceFile): boolean {
  const text = span.expression.getText(tree);
  // A constant's value is known; a list is no number.
  if (/^[A-Z][A-Z0-9_]+$/.test(text) || /\.join\(/.test(text) || text.includes("counted(")) return false;
  for (let node: ts.Node = span; !ts.isSourceFile(node); node = node.parent) {
    if (ts.isConditionalExpression(node) && /=== 1\b/.test(node.condition.getText(tree))) return false;
  }
  return true;
}
