import { counted } from "../../../schemas/counted.js";
import { SluiceError } from "../../../schemas/errors.js";
import { showDims } from "../pool/model-runner.js";

/** An output of a model, as a trial run of `count` images showed it. */
export interface TriedOutput {
  readonly name: string;
  /** The library's word for the type of its values; those that are no numbers have no `values` */
  readonly type: string;
  readonly dims: readonly number[];
  readonly values: Float32Array | null;
}

export interface OutputChoice {
  readonly outputName?: string | undefined;
  /** Names of classes that were found, where they were */
  readonly labelCount?: number | undefined;
}

export interface ChosenOutput {
  readonly output: TriedOutput & { readonly values: Float32Array };
  /** Why this one of several, in words; null where there is one */
  readonly why: string | null;
}

/** What exporters call the output with the classes. */
const USUAL = /^(logits|logits_per_image|probabilities|probs|prob|scores|predictions?|classification|class_scores)$/i;

/**
 * The output that has a score a class and an image: the one asked for, the only one, the only one with as many values as there are labels, or the
 * only one with a usual name. Throws E_ENGINE_SHAPE and E_TEACHER_CARD, naming the outputs.
 */
export function chooseOutput(
  outputs: readonly TriedOutput[],
  count: number,
  path: string,
  { outputName, labelCount }: OutputChoice,
): ChosenOutput {
  if (outputName !== undefined) {
    const asked = outputs.find(({ name }) => name === outputName || name === `${outputName}:0`);
    if (asked === undefined) throw noSuchOutput(outputName, path, outputs);
    return { output: scoresIn(asked, count, path), why: outputs.length === 1 ? null : "as said" };
  }
  const only = outputs[0];
  if (only !== undefined && outputs.length === 1) return { output: scoresIn(only, count, path), why: null };
  const fit = outputs.filter((output) => fault(output, count) === null);
  const labelled = fit.filter(({ dims }) => widthOf(dims) === labelCount);
  const usual = fit.filter(({ name }) => USUAL.test(name.replace(/:0$/, "")));
  const found: readonly (readonly [readonly TriedOutput[], string])[] = [
    [fit, "the only one with a row of scores an image"],
    [labelled, `the only one with as many values as there are labels, ${labelCount ?? 0}`],
    [labelCount === undefined ? usual : [], "by its name"],
  ];
  for (const [among, why] of found) {
    const output = among[0];
    if (output !== undefined && among.length === 1) {
      const others = outputs.filter((other) => other !== output).map(({ name }) => name);
      return { output: scoresIn(output, count, path), why: `${why}; the others are ${others.join(", ")}` };
    }
  }
  throw new SluiceError(
    "E_TEACHER_CARD",
    fit.length === 0
      ? `Expected an output of ${path} with a row of scores an image, found ${listed(outputs, count)}. Export the model with such an output.`
      : `Expected to be told which output of ${path} holds the classes, found ${listed(outputs, count)}. Name it with --output.`,
    { path, outputs: outputs.map(({ name }) => name) },
  );
}

/** Throws E_ENGINE_SHAPE: no such output. */
export function noSuchOutput(name: string, path: string, outputs: readonly Pick<TriedOutput, "name">[]): SluiceError {
  const names = outputs.map((output) => output.name);
  return new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected an output named ${name} in ${path}, found ${names.join(", ")}. Name one of these with --output.`,
    { expected: name, found: names },
  );
}

/** Values an image; 1 where an axis beside the classes is longer than one */
function widthOf(dims: readonly number[]): number {
  const long = dims.slice(1).filter((dim) => dim !== 1);
  return long.length === 1 ? long[0]! : 1;
}

/** Why an output holds no scores of classes, or null. */
function fault({ dims, type, values }: TriedOutput, count: number): string | null {
  if (values === null) {
    if (/int/.test(type))
      return `${type}: numbers of classes, no scores. Export the scores that it was made of, without ArgMax or TopK`;
    if (/seq|map/i.test(type)) return `${type}, no tensor. From scikit-learn, export with options={"zipmap": False}`;
    return `${type}, no tensor of numbers`;
  }
  if (dims[0] !== count && dims.length > 1) return `${showDims(dims)} for ${counted(count, "image")}: no row an image`;
  const long = dims.slice(1).filter((dim) => dim !== 1);
  if (long.length > 1)
    return `${showDims(dims)}: a table an image, as detectors, segmenters and transformers' hidden states give, no row of scores. Export the classifier with its head`;
  if (long.length === 0)
    return (
      `${showDims(dims)}: one value an image, a teacher of two classes or none. Sluice ranks images class by class: export it with an output a class, ` +
      "such as torch.cat([-z, z], 1) of its logit z"
    );
  return null;
}

function scoresIn(output: TriedOutput, count: number, path: string): ChosenOutput["output"] {
  const wrong = fault(output, count);
  const { values } = output;
  if (wrong === null && values !== null) return { ...output, values };
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected output ${output.name} of ${path} to hold a row of scores an image, one a class and at least two, found ${wrong ?? "none"}.`,
    { output: output.name, found: output.dims },
  );
}

function listed(outputs: readonly TriedOutput[], count: number): string {
  return outputs
    .map(
      (output) =>
        `${output.name} (${fault(output, count)?.split(/[.:]/)[0] ?? counted(widthOf(output.dims), "value")})`,
    )
    .join(", ");
}
