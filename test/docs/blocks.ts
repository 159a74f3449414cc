/** A block of shell commands of a document, to be executed as it stands. */
export interface Block {
  /** of the block's first command, from 1 */
  readonly line: number;
  readonly script: string;
  readonly exitCode: number;
  /** Lines that its output must hold, in this order; `…` stands for anything within a line */
  readonly output: readonly string[];
}

/**
 * Blocks marked for execution: fences that open with "```sh run" (or "```sh run exit=2"), and comments that open with
 * `<!-- run`, which a reader does not see (they make what the text takes for given). A fence "```text output" after one
 * holds lines of its output.
 */
export function executableBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const fence = /^(`{3,})sh run(?: exit=(\d+))?\s*$/.exec(line);
    const hidden = /^<!-- run\s*$/.test(line);
    const output = /^(`{3,})text output\s*$/.exec(line);
    const close = fence?.[1] ?? output?.[1] ?? (hidden ? "-->" : null);
    if (close === null) continue;
    const end = lines.indexOf(close, at + 1);
    if (end === -1) throw new Error(`line ${at + 1}: this block is not closed by ${close}`);
    const body = lines.slice(at + 1, end);
    const last = blocks.at(-1);
    if (output === null) {
      blocks.push({ line: at + 2, script: body.join("\n"), exitCode: Number(fence?.[2] ?? 0), output: [] });
    } else if (last === undefined) {
      throw new Error(`line ${at + 1}: output without a block that makes it`);
    } else {
      blocks[blocks.length - 1] = { ...last, output: body.filter((text) => text.trim() !== "") };
    }
    at = end;
  }
  return blocks;
}

/** The first expected line that the output does not hold after the one before it, or null where it holds all. */
export function missingLine(expected: readonly string[], output: string): string | null {
  const lines = output.split("\n");
  let from = 0;
  for (const text of expected) {
    const pattern = new RegExp(`^${text.trim().split("…").map(escaped).join(".*")}$`);
    const at = lines.findIndex((line, index) => index >= from && pattern.test(line.trim()));
    if (at === -1) return text;
    from = at + 1;
  }
  return null;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
