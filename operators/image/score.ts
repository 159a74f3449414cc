import { rankRows } from "../topk/rank-rows.js";
import { isMultiLabel, type ModelCard } from "../../schemas/model-card.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { refusal, type Decoded, type Outcome, type Scorable, type Scored } from "./image-in-flight.js";
import type { BisectingScorer } from "./score-bisecting.js";

export interface ScoreOptions {
  readonly scorer: BisectingScorer;
  readonly card: ModelCard;
  readonly topM: number;
  /** Keep all C logits of each image */
  readonly allLogits: boolean;
  /** Keep each image's embedding; the card names one */
  readonly embedding: boolean;
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
  const { scorer, card, settle } = options;
  const size = pixelBytes(card.input);
  const pixels = new Uint8Array(images.length * size);
  images.forEach((image, index) => {
    pixels.set(image.pixels, index * size);
  });
  const rows = await scorer.score(pixels);
  return images.map((image, index) => {
    const scored = scoresOf(image, rows[index]!, options);
    settle(image.origin.digest, scored);
    return scored;
  });
}

function scoresOf(image: Decoded, row: Float32Array | null, options: ScoreOptions): Scored {
  const { card, topM, allLogits, embedding } = options;
  const classes = card.labels.length;
  const refused = (found: string): Scored => ({
    code: "E_IMAGE_SCORES",
    reason: `Expected finite scores from teacher "${card.name}", found ${found}.`,
  });
  if (row === null) return refused("that this image ends the engine's worker each time");
  const logits = row.subarray(0, classes);
  const ranked = rankRows(logits, 1, classes, topM, card.temperature, isMultiLabel(card));
  if (ranked.finite[0] === 0) {
    const bad = logits.findIndex((logit) => !Number.isFinite(logit));
    return refused(`${logits[bad]!} for class ${bad} (${card.labels[bad] ?? "?"})`);
  }
  return {
    scores: {
      classes: ranked.classes,
      keys: ranked.keys,
      logits: ranked.logits,
      logSumExp: ranked.logSumExp[0]!,
      // A view would keep the whole batch's logits alive until the segment is written.
      allLogits: allLogits ? logits.slice() : null,
      embedding: embedding ? row.slice(classes) : null,
      pdq: image.pdq,
      notes: image.notes,
      width: image.width,
      height: image.height,
    },
  };
}
