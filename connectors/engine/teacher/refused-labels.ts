import { SluiceError } from "../../../schemas/errors.js";

/** E_TEACHER_LABELS of a file; `line` from 1, null of the whole file. */
export function refusedLabels(path: string, line: number | null, expected: string, cause?: unknown): SluiceError {
  const place = line === null || line === 0 ? path : `${path}:${line}`;
  return new SluiceError("E_TEACHER_LABELS", `${place}: expected ${expected}.`, { path, line, cause });
}

/** A class that a file names together with its number. */
export interface Numbered {
  /** From 1; 0 where the file has no lines */
  readonly line: number;
  readonly index: number;
  readonly name: string;
}

/** The names by number, which must be all of 0 to L - 1. Throws E_TEACHER_LABELS. */
export function inOrder(numbered: readonly Numbered[], path: string): string[] {
  const labels: string[] = [];
  const sorted = [...numbered].sort((a, b) => a.index - b.index);
  for (const [at, { line, index, name }] of sorted.entries()) {
    if (index !== at) {
      const from =
        sorted[0]!.index === 1
          ? "numbers are counted from 1 here, the model's outputs from 0: subtract one"
          : `number ${at} has no line`;
      throw refusedLabels(path, line, `numbers from 0 to ${sorted.length - 1}, one a class, found ${index}: ${from}`);
    }
    if (name === "") throw refusedLabels(path, line, `a name for class ${index}, found none`);
    labels.push(name);
  }
  return labels;
}
