import type { ModelCard } from "../../../../schemas/model-card.js";
import { readPreprocessing, readModelConfig } from "./hugging-face.js";
import { readPythonLiteral } from "./python-literal.js";
import { readTimm } from "./timm.js";
import { channelsIn, isNumber, isObject, labelsIn, type Size, type ToldCard } from "./told-card.js";

const LABEL_KEYS = [
  "names",
  "labels",
  "classes",
  "class_names",
  "classnames",
  "class_labels",
  "id2label",
  "label_names",
  "categories",
];
const SIZE_KEYS = ["imgsz", "image_size", "img_size", "input_size"];

/** What WinML's metadata (Image.…, also Custom Vision's) say of pixels */
const PIXEL_RANGES: Readonly<Record<string, ModelCard["normalise"]>> = {
  nominalrange_0_255: { mean: [0], std: [1 / 255] },
  normalized_0_1: { mean: [0], std: [1] },
  normalized_1_1: { mean: [0.5], std: [0.5] },
};
const PIXEL_FORMATS: readonly (readonly [RegExp, ModelCard["input"]["colour"]])[] = [
  [/^bgr/i, "bgr"],
  [/^rgb/i, "rgb"],
  [/^gray/i, "grey"],
];

/** What the exporter wrote into an ONNX file beside its graph, best known tool first. */
export function readOnnxMetadata(metadata: ReadonlyMap<string, string>): ToldCard[] {
  const keys = new Map([...metadata].map(([key, value]) => [key.toLowerCase(), value]));
  const cards: (ToldCard | null)[] = [ultralytics(keys), winml(keys)];
  for (const [key, value] of metadata) {
    const json = jsonIn(value);
    if (!isObject(json)) continue;
    const from = `the model's metadata (${key})`;
    cards.push(readPreprocessing(json, from) ?? readTimm(json, from) ?? readModelConfig(json, from));
  }
  cards.push(named(keys));
  return cards.filter((card) => card !== null);
}

/** `yolo export format=onnx`: pixels of 0 to 1, as the classifier's own transform makes them. */
function ultralytics(keys: ReadonlyMap<string, string>): ToldCard | null {
  const task = keys.get("task");
  if (
    task === undefined ||
    (!(keys.has("names") && keys.has("stride")) && !/ultralytics/i.test(keys.get("author") ?? ""))
  )
    return null;
  const from = "the model's metadata (Ultralytics)";
  if (task !== "classify") return { from, refused: `a model of task ${task}, no classifier` };
  const labels = labelsIn(readPythonLiteral(keys.get("names") ?? ""));
  const size = sizeIn(keys.get("imgsz"));
  return {
    from,
    ...(size === null ? {} : { size }),
    ...(keys.get("channels") === "1" ? { colour: "grey" as const } : {}),
    normalise: { mean: [0], std: [1] },
    // Its transform stretches to a size that is not square.
    resize: ({ width, height }) =>
      width === height ? { mode: "crop", kernel: "linear", shortSide: width } : { mode: "stretch", kernel: "linear" },
    // It opens pictures with OpenCV in colour: turned by EXIF, their transparency left out.
    opening: { alpha: "drop" },
    ...(labels === null ? {} : { labels }),
  };
}

function winml(keys: ReadonlyMap<string, string>): ToldCard | null {
  const range = keys.get("image.nominalpixelrange");
  const format = keys.get("image.bitmappixelformat");
  if (range === undefined && format === undefined) return null;
  const normalise = PIXEL_RANGES[(range ?? "").toLowerCase()];
  const colour = PIXEL_FORMATS.find(([pattern]) => pattern.test(format ?? ""))?.[1];
  return {
    from: "the model's metadata (Image.…)",
    ...(normalise === undefined ? {} : { normalise }),
    ...(colour === undefined ? {} : { colour }),
    ...(range !== undefined && normalise === undefined
      ? { refused: `pixels of ${range}, which Sluice does not make` }
      : {}),
  };
}

/** Members that anybody may have written, by their usual names. */
function named(keys: ReadonlyMap<string, string>): ToldCard | null {
  const found = (names: readonly string[]): unknown => {
    for (const name of names) {
      const value = keys.get(name);
      if (value !== undefined)
        return (
          readPythonLiteral(value) ?? readPythonLiteral(`[${value}]`) ?? value.split(/[,\n]/).map((part) => part.trim())
        );
    }
    return undefined;
  };
  const labels = labelsIn(found(LABEL_KEYS));
  const size = sizeIn(SIZE_KEYS.map((key) => keys.get(key)).find((value) => value !== undefined));
  const mean = channelsIn(found(["mean", "image_mean"]));
  const std = channelsIn(found(["std", "image_std"]));
  // Means above 1 are those of bytes.
  const unit = mean?.some((value) => value > 1) === true ? 255 : 1;
  const normalise =
    mean !== null && std?.every((value) => value > 0) === true
      ? { mean: mean.map((value) => value / unit), std: std.map((value) => value / unit) }
      : null;
  if (labels === null && size === null && normalise === null) return null;
  return {
    from: "the model's metadata",
    ...(size === null ? {} : { size }),
    ...(normalise === null ? {} : { normalise }),
    ...(labels === null ? {} : { labels }),
  };
}

/** `224`, `[224, 320]` (height first), `[3, 224, 224]` */
function sizeIn(text: string | undefined): Size | null {
  const value = text === undefined ? null : readPythonLiteral(text);
  const list = isNumber(value) ? [value, value] : Array.isArray(value) && value.every(isNumber) ? value.slice(-2) : [];
  const [height, width] = list;
  return height !== undefined && width !== undefined && height > 0 && width > 0 ? { width, height } : null;
}

function jsonIn(text: string): unknown {
  if (!text.trimStart().startsWith("{")) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
