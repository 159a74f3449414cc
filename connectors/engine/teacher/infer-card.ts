import { basename, join } from "node:path";
import { counted } from "../../../schemas/counted.js";
import { inventedName } from "../../../schemas/class-names.js";
import { SluiceError } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { listedNumbers, normalisation, sameNormalise } from "../../../schemas/normalisations.js";
import { findCards } from "./cards/find-cards.js";
import type { Size, ToldCard } from "./cards/told-card.js";
import { identifyModel, type FoundModel } from "./identify-model.js";
import { labelFilesBeside, labelsFitting, readLabelFile, type LabelFile } from "./label-file.js";
import { layoutOf, TRIAL_SIDE, type ModelShapes, type ShapeChoices } from "./model-shapes.js";
import type { LoadedTeacher } from "./teacher-files.js";
import { describeWeights } from "./weights-digest.js";

/** torchvision's evaluation transform: short side 256 for a crop of 224 */
const SHORT_SIDE_RATIO = 256 / 224;

/** What the user says of a model; what is not said is inferred. */
export interface CardChoices extends ShapeChoices {
  readonly name?: string | undefined;
  /** One a class, in the order of the outputs */
  readonly labels?: readonly string[] | undefined;
  readonly normalise?: ModelCard["normalise"] | undefined;
  readonly resize?: Partial<ModelCard["resize"]> | undefined;
  readonly outputKind?: ModelCard["output"]["kind"] | undefined;
  readonly temperature?: number | undefined;
  /** Whether labelled images are going to tell what no file does: then nothing has to be said of TensorFlow's models */
  readonly isChecked?: boolean | undefined;
}

/** What no file tells and nobody said. `normalise` of a TensorFlow model is a guess that must be checked. */
export interface OpenMembers {
  readonly normalise: boolean;
  readonly colour: boolean;
  readonly size: boolean;
  readonly resize: boolean;
  readonly orientation: boolean;
  readonly alpha: boolean;
  readonly labels: boolean;
}

export interface InferredTeacher extends LoadedTeacher {
  readonly open: OpenMembers;
}

/** What a card is made of: what the user says, then what the model and the files beside it say, then what is assumed. */
interface Sources {
  readonly model: FoundModel;
  /** Of the model's entry file, for messages */
  readonly path: string;
  readonly choices: CardChoices;
  readonly cards: readonly ToldCard[];
}

/** A member of the card, and the sentence that says where it comes from. */
type Said<Member extends string, Value> = Readonly<Record<Member, Value>> & { readonly note: string };

/**
 * Makes up a card for a model that has none. What `choices` say goes first; then what the model's metadata and the files beside it say (timm, transformers,
 * Ultralytics, Teachable Machine …); then shapes, first and last operators and trial runs of the model itself, and labels from
 * a file of labels beside it (`<name>.labels.txt` or `labels.txt`, .json, .csv or .tsv); at last preprocessing as for ImageNet, for ONNX. Each member is said with its source. Throws E_TEACHER_CARD where something is left open or
 * asks for what is not done here, E_TEACHER_LABELS, E_TEACHER_WEIGHTS, E_ENGINE_LOAD, E_ENGINE_SHAPE, E_ENGINE_UNAVAILABLE, E_IMAGE_SCORES.
 */
export async function inferCard(modelPath: string, choices: CardChoices = {}): Promise<InferredTeacher> {
  const model = await identifyModel(modelPath);
  const path = join(model.folder, model.files[0]!);
  const { cards, unread } = await findCards(model);
  const refused = cards.find((card) => card.refused !== undefined);
  if (refused !== undefined) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected a classifier of images at ${path}, found ${refused.refused ?? ""} (${refused.from}).`,
      { path },
    );
  }
  const sources = { model, path, choices, cards };
  const weights = await describeWeights(model.folder, model.files);
  const named = await labelsOf(sources);
  const size = saidBy(cards, "size");
  const shapes = await inspect(model, path, {
    ...choices,
    width: choices.width ?? size?.value.width,
    height: choices.height ?? size?.value.height,
    colour: choices.colour ?? saidBy(cards, "colour")?.value,
    labelCount: named?.labels.length,
  });
  const { input, note: inputNote } = inputFrom(sources, shapes);
  const { labels, note: labelNote } = labelsFor(model, shapes.width, named);
  const { normalise, note: normaliseNote } = normaliseFor(sources, input, shapes);
  const { resize, note: resizeNote } = resizeFor(sources, input);
  const { kind, note: kindNote } = kindFor(sources, shapes);
  const isNamed = shapes.outputNames.length > 1;
  const card: ModelCard = {
    schemaVersion: 1,
    name: choices.name ?? model.name,
    format: model.format,
    weights,
    input,
    resize,
    normalise,
    output: {
      kind,
      ...(isNamed ? { name: shapes.outputName } : {}),
      ...(shapes.embedding === undefined ? {} : { embedding: shapes.embedding }),
    },
    labels,
    temperature: choices.temperature ?? 1,
  };
  return {
    card,
    folder: model.folder,
    cardPath: null,
    open: openMembers(sources, shapes, named),
    assumptions: [
      inputNote,
      normaliseNote,
      resizeNote,
      openingNote(sources, resize),
      kindNote,
      ...(shapes.embedding === undefined
        ? []
        : [`Output ${shapes.embedding.name} is the embedding, ${counted(shapes.embedding.size, "value")}.`]),
      labelNote,
      ...unread,
    ],
  };
}

/** The first card that says a member, and which it is. */
function saidBy<Member extends keyof ToldCard>(
  cards: readonly ToldCard[],
  member: Member,
): { readonly value: NonNullable<ToldCard[Member]>; readonly from: string } | null {
  for (const card of cards) {
    const value = card[member];
    if (value !== undefined) return { value, from: card.from };
  }
  return null;
}

/** Only the library of the model's own kind is loaded. */
async function inspect(model: FoundModel, path: string, choices: ShapeChoices): Promise<ModelShapes> {
  if (model.onnx !== null) return (await import("../onnx/inspect.js")).inspectOnnx(path, model.onnx, choices);
  if (model.format === "onnx") throw new Error("an ONNX model that was not read");
  return (await import("../tfjs/inspect.js")).inspectTfjs(model.format, path, choices);
}

function openMembers({ choices, cards }: Sources, shapes: ModelShapes, named: NamedClasses | null): OpenMembers {
  const layout = layoutOf(shapes.inputDims, choices.layout);
  const depth = shapes.inputDims[layout === "NCHW" ? 1 : 3];
  const sides = layout === "NCHW" ? [2, 3] : [1, 2];
  const isTold = saidBy(cards, "normalise") !== null;
  return {
    normalise: choices.normalise === undefined && shapes.inside === null && !isTold,
    // Python's tools that write means and deviations read pictures as RGB.
    colour: choices.colour === undefined && depth !== 1 && !isTold && saidBy(cards, "colour") === null,
    size:
      choices.width === undefined &&
      sides.some((axis) => shapes.inputDims[axis] == null) &&
      saidBy(cards, "size") === null,
    resize: choices.resize?.mode === undefined && saidBy(cards, "resize") === null,
    orientation: choices.resize?.orientation === undefined && saidBy(cards, "opening") === null,
    alpha: choices.resize?.alpha === undefined && saidBy(cards, "opening") === null,
    labels: named === null,
  };
}

function inputFrom({ path, choices, cards }: Sources, shapes: ModelShapes): Said<"input", ModelCard["input"]> {
  const { inputDims: dims } = shapes;
  const layout = layoutOf(dims, choices.layout);
  if (dims.length !== 4 || layout === null) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected an image input like [n x 3 x 224 x 224] in ${path}, found [${dims.map((dim) => dim ?? "?").join(" x ")}]: ` +
        "the card cannot be inferred. Write a model card beside the model, or say what it takes with " +
        "`sluice teacher add --layout --size --colour`.",
      { path, found: dims },
    );
  }
  const [stored, a, b, c] = dims;
  const batch = choices.fixedBatch ?? stored;
  const [tall, wide, depth] = layout === "NCHW" ? [b, c, a] : [a, b, c];
  const card = cards.find(({ size }) => size !== undefined);
  const size = card?.size;
  const isSaid = choices.height !== undefined || choices.width !== undefined;
  if (!isSaid && card?.sizeIsDefault !== true && size !== undefined)
    assertSame(path, size, card?.from ?? "", tall, wide);
  // What the user says is held against the model when it is opened: a contradiction is an error there, with both in it.
  const height = choices.height ?? tall ?? size?.height ?? TRIAL_SIDE;
  const width = choices.width ?? wide ?? size?.width ?? TRIAL_SIDE;
  const told = saidBy(cards, "colour");
  const colour =
    choices.colour ?? (depth === 1 ? "grey" : depth === 3 && told?.value === "grey" ? "rgb" : told?.value) ?? "rgb";
  const isOpen = !isSaid && (tall == null || wide == null);
  const openNote =
    size === undefined
      ? " (assumed: the model takes any size)"
      : ` (the model takes any size; ${card?.from ?? ""} says this one)`;
  const colourNote = choices.colour === undefined && colour === told?.value ? `, as ${told.from} says` : "";
  return {
    input: { width, height, layout, colour, ...(batch == null ? {} : { fixedBatch: batch }) },
    note:
      `Input ${shapes.inputName} is ${layout}, ${width} x ${height} px, ${colour === "grey" ? "grey" : colour.toUpperCase()}${colourNote}` +
      (isOpen ? openNote : "") +
      (shapes.inputType === "float32" ? "" : `, ${shapes.inputType}`) +
      (batch == null ? "." : `, in batches of ${batch} only (short ones are padded).`),
  };
}

function assertSame(
  path: string,
  { width, height }: Size,
  from: string,
  tall: number | null | undefined,
  wide: number | null | undefined,
): void {
  if ((tall ?? height) === height && (wide ?? width) === width) return;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected an input of ${width} x ${height} px in ${path}, as ${from} says, found ${wide ?? "?"} x ${tall ?? "?"} px: is that the file of another model? Say the size with --size, or move the file away.`,
    { path, expected: { width, height }, found: { width: wide, height: tall } },
  );
}

function normaliseFor(
  { model, path, choices, cards }: Sources,
  { colour }: ModelCard["input"],
  { inside, inputType }: ModelShapes,
): Said<"normalise", ModelCard["normalise"]> {
  const told = saidBy(cards, "normalise");
  const shown = ({ mean, std }: ModelCard["normalise"]): string =>
    `(u8 / 255 - ${listedNumbers(mean)}) / ${listedNumbers(std)}`;
  if (choices.normalise !== undefined) {
    const twice =
      inside !== null && !sameNormalise(inside.normalise, choices.normalise)
        ? ` But ${inside.from}: ${shown(inside.normalise)} would be the way to feed it.`
        : "";
    return { normalise: choices.normalise, note: `Pixels are ${shown(choices.normalise)}, as said.${twice}` };
  }
  if (inside !== null) {
    const left =
      told === null || sameNormalise(told.value, inside.normalise)
        ? ""
        : `, so that what ${told.from} says is left out`;
    return { normalise: inside.normalise, note: `Pixels are ${shown(inside.normalise)}: ${inside.from}${left}.` };
  }
  if (told !== null) return { normalise: told.value, note: `Pixels are ${shown(told.value)}, from ${told.from}.` };
  // Of TensorFlow's models, some take 0 to 1, some -1 to 1, some 0 to 255, and no shape tells which.
  if (model.format !== "onnx" && choices.isChecked !== true) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected to be told how pixels become the input of ${path}: TensorFlow models take 0 to 1, -1 to 1 or 0 to 255, and the file does not say which. ` +
        "Labelled images tell: --on <folder>, with a subfolder a class. Or give --normalise unit, symmetric or bytes (see docs/teachers.md), and look at the outcome with --try.",
      { path },
    );
  }
  const assumed = `(assumed${inputType === "float32" ? "" : ` for ${inputType}`}: no file says)`;
  return colour === "grey"
    ? {
        normalise: { mean: [0], std: [1] },
        note: `Pixels are scaled to [0, 1], without mean and deviation ${assumed}.`,
      }
    : {
        normalise: normalisation("imagenet", colour),
        note: `Pixels are ${colour.toUpperCase()}, normalised with ImageNet's means and deviations ${assumed}.`,
      };
}

function resizeFor({ path, choices, cards }: Sources, input: ModelCard["input"]): Said<"resize", ModelCard["resize"]> {
  const told = saidBy(cards, "resize");
  const opening = saidBy(cards, "opening");
  const asked = told?.value(input) ?? {};
  if ("refused" in asked && choices.resize?.mode === undefined) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected a way of resizing that Sluice has for ${path}, found ${asked.refused} in ${told?.from ?? ""}. Say the nearest one with --resize, --kernel and --short-side.`,
      { path, refused: asked.refused },
    );
  }
  const said = "refused" in asked ? {} : asked;
  const mode = choices.resize?.mode ?? said.mode ?? "crop";
  const ratio = Math.round(Math.min(input.width, input.height) * SHORT_SIDE_RATIO);
  // Another mode than the file's takes nothing else from it.
  const own = mode === said.mode ? said : {};
  const shortSide = own.shortSide ?? (mode === "crop" && input.width === input.height ? ratio : undefined);
  const resize: ModelCard["resize"] = {
    kernel: own.kernel ?? "linear",
    mode,
    ...(shortSide === undefined ? {} : { shortSide }),
    ...(own.oddRest === undefined ? {} : { oddRest: own.oddRest }),
    shrinkOnLoad: false,
    ...opening?.value,
    ...choices.resize,
  };
  const side = resize.shortSide === undefined ? null : `a short side of ${resize.shortSide} px`;
  const words = {
    crop: `resized ${side === null ? "until they fill the input" : `to ${side}`} and cropped in the middle`,
    stretch: side === null ? "stretched to the input's size" : `stretched to ${side} and cropped in the middle`,
    pad: "fitted into the input, the rest black",
  }[resize.mode];
  const from =
    choices.resize?.mode !== undefined
      ? "as said"
      : told !== null && mode === said.mode
        ? `${resize.kernel}, from ${told.from}`
        : "assumed: no file says";
  const unscaled = resize.antialias === false ? ", without antialiasing" : "";
  return { resize, note: `Images are ${words}${unscaled} (${from}).` };
}

/** What happens to EXIF turns and transparency, each with its source. */
function openingNote({ choices, cards }: Sources, { orientation, alpha }: ModelCard["resize"]): string {
  const told = saidBy(cards, "opening");
  const from = (said: unknown): string =>
    said !== undefined ? "as said" : told === null ? "assumed: no file says" : `as the tool of ${told.from} does`;
  const turned = orientation === "ignore" ? "not turned by EXIF" : "turned by EXIF";
  const opaque = alpha === "drop" ? "transparency is dropped" : "transparency becomes black";
  const [ofTurns, ofAlpha] = [from(choices.resize?.orientation), from(choices.resize?.alpha)];
  return ofTurns === ofAlpha
    ? `Pictures are ${turned}, and ${opaque} (${ofTurns}).`
    : `Pictures are ${turned} (${ofTurns}), and ${opaque} (${ofAlpha}).`;
}

function kindFor({ choices, cards }: Sources, shapes: ModelShapes): Said<"kind", ModelCard["output"]["kind"]> {
  const card = saidBy(cards, "kind");
  // A file says whether classes are independent; whether the model has the sigmoid in it, the model.
  const told =
    card !== null && shapes.kind.kind === "logits" ? { kind: card.value, from: `${card.from} says so` } : shapes.kind;
  const { kind, from } = choices.outputKind === undefined ? told : { kind: choices.outputKind, from: "as said" };
  const doubt =
    choices.outputKind !== undefined && choices.outputKind !== told.kind && told.kind !== "logits"
      ? ` But they look like ${KIND_WORDS[told.kind]}: ${told.from}.`
      : "";
  const why = shapes.outputWhy === null ? "" : ` (${shapes.outputWhy})`;
  return {
    kind,
    note: `Output ${shapes.outputName}${why} holds ${shapes.width} ${KIND_WORDS[kind]} (${from}).${doubt}`,
  };
}

const KIND_WORDS: Readonly<Record<ModelCard["output"]["kind"], string>> = {
  logits: "logits",
  probabilities: "probabilities",
  sigmoid: "independent probabilities (sigmoid)",
  "sigmoid-logits": "logits of independent classes (sigmoid)",
};

interface NamedClasses extends LabelFile {
  /** Where they stand, for messages */
  readonly where: string;
  readonly note: string;
}

/** Names of classes: as said, of a file of labels, of a card; null where there are none. */
async function labelsOf({ model, choices, cards }: Sources): Promise<NamedClasses | null> {
  const { labels } = choices;
  if (labels !== undefined) {
    return { labels, head: null, where: "the labels that were given", note: "Classes are named as said." };
  }
  for (const path of labelFilesBeside(model.folder, model.name)) {
    const read = await readLabelFile(path);
    if (read !== null) return { ...read, where: path, note: `Classes are named by ${basename(path)}.` };
  }
  const told = saidBy(cards, "labels");
  if (told === null) return null;
  return { labels: told.value, head: null, where: told.from, note: `Classes are named by ${told.from}.` };
}

function labelsFor({ name }: FoundModel, width: number, named: NamedClasses | null): Said<"labels", string[]> {
  if (named !== null) {
    return { labels: [...labelsFitting(named, width, named.where)], note: named.note };
  }
  return {
    labels: Array.from({ length: width }, (_, at) => inventedName(at)),
    note: `Classes are called class-0 to class-${width - 1}: put their names, one a line, into ${name}.labels.txt.`,
  };
}
