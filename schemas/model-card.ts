import { z } from "zod";
import type { ClassNames } from "./class-names.js";
import { canonicalJson, sha256Hex } from "./canonical.js";

/** The file that stands beside a model's weights and says how to feed it and how to read it. */
export const MODEL_CARD_FILE = "model-card.json";

const sha256Text = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits");

/** What labelled images said of a model when it was taken up. It changes no score. */
export const cardCheckSchema = z.strictObject({
  images: z.int().positive(),
  /** Share that was right as the card reads the model, and what naming the commonest class every time would be right on */
  accuracy: z.number().min(0).max(1),
  chance: z.number().min(0).max(1),
  /** The other ways to read it that its files left open; null where one does not run */
  readings: z.array(z.strictObject({ name: z.string(), accuracy: z.number().min(0).max(1).nullable() })),
});
export type CardCheck = z.infer<typeof cardCheckSchema>;

export const modelCardSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().min(1),
  format: z.enum(["onnx", "tfjs-layers", "tfjs-graph", "saved-model"]),
  /** The model's files, relative to the card, the entry file first; `sha256` of their digests in this order. */
  weights: z.strictObject({
    files: z.array(z.strictObject({ path: z.string(), sizeBytes: z.int().nonnegative(), sha256: sha256Text })).min(1),
    sha256: sha256Text,
  }),
  input: z.strictObject({
    width: z.int().positive(),
    height: z.int().positive(),
    layout: z.enum(["NHWC", "NCHW"]).default("NHWC"),
    /** Channel order. `grey` is one channel, Rec. 601 luma of the sRGB values, as Pillow's `L`. */
    colour: z.enum(["rgb", "bgr", "grey"]).default("rgb"),
    /** The batch size that the model was exported with, if it takes no other. */
    fixedBatch: z.int().positive().optional(),
  }),
  resize: z.strictObject({
    /** Pillow's NEAREST, BOX, BILINEAR, HAMMING, BICUBIC and LANCZOS, to the bit */
    kernel: z.enum(["nearest", "box", "linear", "hamming", "cubic", "lanczos3"]).default("linear"),
    /** Whether a kernel that makes smaller takes in every pixel, as Pillow and torchvision do (default); OpenCV's and TensorFlow's do not. */
    antialias: z.boolean().optional(),
    /**
     * `crop`: short side to `shortSide`, centre crop to the input size, what is missing black (torchvision's Resize and CenterCrop).
     * `stretch`: straight to the input size, or with `shortSide` in the input's shape to that size, then centre crop.
     * `pad`: long side to the input size, the rest black (Pillow's ImageOps.pad).
     */
    mode: z.enum(["crop", "stretch", "pad"]).default("crop"),
    /** px; not for `pad`; by default the least at which the image fills the input */
    shortSide: z.int().positive().optional(),
    /** Where a centre crop lies that leaves an odd rest: at the even offset (default, torchvision's CenterCrop), or at the lower one (transformers') */
    oddRest: z.enum(["even", "lower"]).optional(),
    /** Whether JPEG may be decoded at 1/2, 1/4, 1/8 size first: faster, other pixels. */
    shrinkOnLoad: z.boolean().default(false),
    /** Whether a picture is turned as its EXIF orientation says (default), or taken as it is stored, as torchvision's own loader does */
    orientation: z.enum(["apply", "ignore"]).optional(),
    /** Whether the embedded colour profile of an RGB or grey picture is left aside (default, as Pillow does), or its colours become sRGB */
    colourProfile: z.enum(["ignore", "convert"]).optional(),
    /** What transparent pixels become: black by how transparent they are (default), or the colours stored in them, as Pillow's convert("RGB") */
    alpha: z.enum(["black", "drop"]).optional(),
  }),
  /** tensor = (u8 / 255 - mean) / std, one value a channel in the model's channel order */
  normalise: z.strictObject({ mean: z.array(z.number()).min(1), std: z.array(z.number().positive()).min(1) }),
  output: z.strictObject({
    /**
     * What the model puts out. `logits`, of classes of which one is right; also their log-softmax. `probabilities` of such classes become logits by ln(p), p clipped at
     * 1e-38 from below. `sigmoid`: a probability of each class for itself, in images that show several or none; becomes a logit by ln(p / (1 - p)).
     * `sigmoid-logits`: the logits of such.
     */
    kind: z.enum(["logits", "probabilities", "sigmoid", "sigmoid-logits"]),
    /** The output's name, where the model has several */
    name: z.string().optional(),
    /** An output beside it that describes the image, archived as it comes: `size` values an image. It changes no score. */
    embedding: z.strictObject({ name: z.string(), size: z.int().positive() }).optional(),
  }),
  /** One name a class, in the order of the outputs */
  labels: z.array(z.string()).min(2),
  /** logits are divided by it before ranking */
  temperature: z.number().positive().default(1),
  /** By `sluice teacher add --on` */
  checked: cardCheckSchema.optional(),
});

export type ModelCard = z.infer<typeof modelCardSchema>;

/** What ranking needs of a teacher. */
export type RankedCard = ClassNames &
  Pick<ModelCard, "temperature"> & {
    readonly output?: Pick<ModelCard["output"], "kind"> | undefined;
  };

/** Whether the classes are independent: an image may show several or none, and their probabilities do not sum to 1. */
export function isMultiLabel({ output }: Pick<RankedCard, "output">): boolean {
  return output?.kind === "sigmoid" || output?.kind === "sigmoid-logits";
}

/**
 * Raised whenever one card and one file make other pixels than before: rows that older code scored are rows of another teacher, and
 * are never mixed with new ones.
 */
export const PREPROCESSING_REVISION = 1;

/**
 * What names a teacher: the digest of everything that changes its scores. Its name, its files' paths and what its classes are
 * called do not.
 * Returns 64 hexadecimal digits.
 */
export function teacherDigest(card: ModelCard): string {
  const { input, resize, normalise, labels, temperature } = card;
  // An embedding changes no score.
  const output = { ...card.output, embedding: undefined };
  return sha256Hex(
    canonicalJson({
      weights: card.weights.sha256,
      format: card.format,
      input,
      preprocessing: PREPROCESSING_REVISION,
      resize,
      normalise,
      output,
      classes: labels.length,
      temperature,
    }),
  );
}

/** The digest over a model's files, in card order. */
export function weightsDigest(files: readonly { sha256: string }[]): string {
  return sha256Hex(files.map((file) => file.sha256).join("\n"));
}
