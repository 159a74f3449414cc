import { ranking } from "../../operators/select/ranking.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { RankedCard } from "../../schemas/model-card.js";

/**
 * Whether what will be archived answers every dataset's selection for any image. Throws E_SELECTION, also for labels that the
 * teacher does not have: before anything is scored.
 */
export function assertAnswerable(config: Config, card: RankedCard): void {
  const { topM, logits } = config.archive;
  for (const { name, select } of config.datasets) {
    const { needs, alwaysAnswers } = ranking(select, card);
    if (alwaysAnswers(Math.min(topM, card.labels.length), logits === "all")) continue;
    throw new SluiceError(
      "E_SELECTION",
      `Expected an archive that answers the selection of dataset "${name}" for any image, found archive.topM ${topM} of ${card.labels.length} classes with ` +
        `archive.logits: ${logits}. ${needs === "full softmax" ? "Another temperature and merged classes need every class's logit" : "An image's best of the chosen classes need not be among those archived"}: ` +
        "set `archive.logits: all`, or give this selection to `sluice rebuild` for one call, with --set.",
      { dataset: name, topM, logits },
    );
  }
}
