import type { ModelCard } from "./model-card.js";

/** Values an image that an engine gives: C logits, then those of the embedding, if the card names one. */
export function outputWidth({ labels, output }: Pick<ModelCard, "labels" | "output">): number {
  return labels.length + (output.embedding?.size ?? 0);
}
