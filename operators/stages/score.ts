import type { Engine } from "../../connectors/engine/engine.js";
import type { RowScores } from "../pure/segment-builder.js";
import { rankRows } from "../pure/rank-rows.js";
import { messageOf } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { refusal, type Decoded, type Outcome, type Scorable, type Scored } from "./image-in-flight.js";

export interface ScoreOptions {
  readonly engine: Engine;
  readonly card: ModelCard;
  readonly topM: number;
  /** Keep all C logits of each image */
  readonly allLogits: boolean;
  /** Whether an image's bytes must travel on to the archive stage */
  readonly keepBytes: (uri: string) => boolean;
  /** Called for each image that the engine saw */
  readonly settle: (digest: Uint8Array, scored: Scored) => void;
}

/** Scores the decoded images of a group in one run of the engine; the outcomes keep the group's order. */
export async function scoreGroup(group: readonly Scorable[], options: ScoreOptions): Promise<Outcome[]> {
  const decoded = group.filter((image) => image.kind === "decoded");
  const scored = decoded.length === 0 ? [] : await scoreImages(decoded, options);
  const results = new Map(decoded.map((image, index) => [image, scored[index]!]));
  return Promise.all(
    group.map(async (image): Promise<Outcome> => {
      if (image.kind === "refused") return image;
      const { origin, bytes } = image;
      const result = image.kind === "copied" ? await image.scores : results.get(image)!;
      if ("code" in result) return refusal(origin, result.code, result.reason);
      return {
        kind: "row",
        origin,
        bytes: options.keepBytes(origin.uri) ? bytes : null,
        scores: result.scores,
        copied: image.kind === "copied",
      };
    }),
  );
}

async function scoreImages(images: readonly Decoded[], options: ScoreOptions): Promise<Scored[]> {
  const { engine, card, topM, allLogits, settle } = options;
  const size = pixelBytes(card.input);
  const pixels = new Uint8Array(images.length * size);
  images.forEach((image, index) => {
    pixels.set(image.pixels, index * size);
  });
  const classCount = card.labels.length;
  let logits: Float32Array;
  try {
    logits = await engine.score({ count: images.length, pixels });
  } catch (error) {
    // The run is about to end; images that wait for these must not wait for ever.
    for (const { origin } of images) settle(origin.digest, { code: "E_CANCELLED", reason: messageOf(error) });
    throw error;
  }
  const ranked = rankRows(logits, images.length, classCount, topM, card.temperature);
  return images.map((image, row) => {
    const at = row * ranked.topM;
    const scores: RowScores = {
      classes: ranked.classes.subarray(at, at + ranked.topM),
      keys: ranked.keys.subarray(at, at + ranked.topM),
      logits: ranked.logits.subarray(at, at + ranked.topM),
      logSumExp: ranked.logSumExp[row]!,
      allLogits: allLogits ? logits.subarray(row * classCount, (row + 1) * classCount) : null,
      perceptualHash: image.perceptualHash,
      width: image.width,
      height: image.height,
    };
    const scored: Scored =
      ranked.finite[row] === 1
        ? { scores }
        : {
            code: "E_IMAGE_SCORES",
            reason: `Expected finite scores from teacher "${card.name}", found ${describeBad(logits, row, classCount, card.labels)}.`,
          };
    settle(image.origin.digest, scored);
    return scored;
  });
}

function describeBad(logits: Float32Array, row: number, classCount: number, labels: readonly string[]): string {
  for (let index = 0; index < classCount; index++) {
    const logit = logits[row * classCount + index]!;
    if (!Number.isFinite(logit)) return `${logit} for class ${index} (${labels[index] ?? "?"})`;
  }
  return "none";
}
