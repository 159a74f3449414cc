import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { countText, counted } from "../../../schemas/counted.js";
import { messageOf, SluiceError, codeOf } from "../../../schemas/errors.js";
import { decodeText } from "../../decode-text.js";
import { labelsInLines } from "./label-lines.js";
import { namesInStructure } from "./label-structures.js";
import { refusedLabels } from "./refused-labels.js";

/** Names of classes as a file gives them. */
export interface LabelFile {
  /** In the order of the outputs */
  readonly labels: readonly string[];
  /** A first line that reads as the head of a column, and so is not among the labels; null where there is none */
  readonly head: string | null;
}

/**
 * Reads a file of labels: lines (label-lines.ts), or JSON, Python's `str` of a list or dict, YAML or a label map (label-structures.ts). UTF-8 or UTF-16, with or without
 * a byte order mark. null where there is no such file. Throws E_TEACHER_LABELS, naming the line.
 */
export async function readLabelFile(path: string): Promise<LabelFile | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw refusedLabels(path, null, `a file of labels, found: ${messageOf(cause)}`, cause);
  }
  return parseLabels(bytes, path);
}

/** Where a model's labels may stand, the first that is there counts. */
export function labelFilesBeside(folder: string, model: string): string[] {
  const kinds = ["txt", "json", "csv", "tsv"];
  return [`${model}.labels`, "labels"].flatMap((stem) => kinds.map((kind) => join(folder, `${stem}.${kind}`)));
}

/** What stands where a file of labels was to be fetched, and what it is */
const OTHER_FILES: readonly (readonly [RegExp, string])[] = [
  [/^\s*<(!doctype|html|\?xml)/i, "a web page or XML: fetch the file again"],
  [/^version https:\/\/git-lfs\./, "a pointer of Git LFS: `git lfs pull` fetches the file"],
];

/** See `readLabelFile`; `path` is for messages. */
export function parseLabels(bytes: Uint8Array, path: string): LabelFile {
  const text = decodeText(bytes);
  if (text === null) {
    throw refusedLabels(
      path,
      null,
      "labels in UTF-8, or in UTF-16 with a byte order mark, found other bytes: save the file as UTF-8",
    );
  }
  const other = OTHER_FILES.find(([start]) => start.test(text));
  if (other !== undefined) throw refusedLabels(path, null, `labels, found ${other[1]}`);
  const labels = namesInStructure(text, path);
  return labels === null ? labelsInLines(text, path) : { labels, head: null };
}

/**
 * The labels of a file for a model of so many outputs. Throws E_TEACHER_LABELS with both numbers where they do not fit.
 */
export function labelsFitting({ labels, head }: LabelFile, outputs: number, where: string): readonly string[] {
  if (labels.length === outputs) return labels;
  // A class may be called what heads a column elsewhere.
  if (head !== null && labels.length + 1 === outputs) return [head, ...labels];
  throw wrongNumber(labels, outputs, where);
}

function wrongNumber(labels: readonly string[], outputs: number, where: string): SluiceError {
  const hint =
    labels.length === outputs + 1
      ? `The first of them is "${labels[0]!.slice(0, 60)}": where it stands for the background, which this model has no output for, leave it out.`
      : labels.length === outputs - 1
        ? 'Where the model\'s first output is the background (as of 1001 outputs for ImageNet), put "background" before the others.'
        : "Give the file that belongs to this model.";
  return new SluiceError(
    "E_TEACHER_LABELS",
    `Expected ${counted(outputs, "label")} in ${where}, one for each of the model's outputs, found ${countText(labels.length)}. ${hint}`,
    { path: where, expected: outputs, found: labels.length },
  );
}
