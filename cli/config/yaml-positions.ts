import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from "yaml";
import type { Path } from "./settings-shape.js";
import { withoutSecret } from "./secret-settings.js";

export interface Position {
  /** from 1 */
  readonly line: number;
  /** from 1 */
  readonly column: number;
}

export interface SyntaxProblem extends Position {
  readonly message: string;
}

/** A YAML file whose values can be traced back to their lines. */
export class PositionedYaml {
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  readonly #text: readonly string[];

  constructor(text: string) {
    this.#text = text.split(/\r?\n/);
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true });
  }

  /** What is not YAML at all, in the order of the file. */
  syntaxProblems(): SyntaxProblem[] {
    return this.#document.errors.map((error) => ({ message: error.message, ...this.#position(error.pos[0]) }));
  }

  /** Plain values; undefined for an empty file. Throws where aliases multiply past what is sane. */
  value(): unknown {
    return (this.#document.toJS() as unknown) ?? undefined;
  }

  /** Where the value at `path` begins (or its name, with `at: "name"`); what stands around it, where it is absent. */
  locate(path: Path, at: "value" | "name" = "value"): Position {
    let node: unknown = this.#document.contents;
    let found: Node | null = this.#document.contents;
    for (const [depth, step] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#document);
      const last = depth === path.length - 1;
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
        if (pair === undefined) break;
        // An empty value has no place of its own worth pointing at.
        const empty = pair.value === null || (isScalar(pair.value) && pair.value.source === "");
        found = ((last && at === "name") || empty ? pair.key : pair.value) as Node;
        node = pair.value;
      } else if (isSeq(node) && typeof step === "number" && step < node.items.length) {
        found = node.items[step] as Node;
        node = found;
      } else break;
    }
    return this.#position(found?.range?.[0] ?? 0);
  }

  /** The line and a mark under the column, with the line's number before it. */
  excerpt({ line, column }: Position): string {
    const text = this.#text[line - 1] ?? "";
    const margin = String(line).padStart(6);
    return `${margin} | ${withoutSecret(text).replace(/\t/g, " ")}\n${" ".repeat(margin.length)} | ${" ".repeat(column - 1)}^`;
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}
