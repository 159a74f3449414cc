import { countText, counted } from "../../schemas/counted.js";

/** Of one run */
export interface IngestCounts {
  readonly scored: number;
  readonly copied: number;
  readonly quarantined: number;
  readonly lost: number;
}

/** `Scored 12,800 images, copied 150, quarantined 71 (…).` `why`: whether to name the command that tells why they are in quarantine */
export function ingestCounts({ scored, copied, quarantined, lost }: IngestCounts, why = true): string {
  const says = why ? " (`sluice quarantine list` says why)" : "";
  return [
    `Scored ${counted(scored, "image")}`,
    copied === 0 ? "" : `, copied the scores of ${counted(copied, "duplicate")}`,
    quarantined === 0 ? "" : `, quarantined ${countText(quarantined)}${says}`,
    lost === 0 ? "" : `, lost ${countText(lost)} that the log no longer had`,
    ".",
  ].join("");
}

/** `3 images came too late for versions of daily: …` */
export function lateText({ dataset, images }: { readonly dataset: string; readonly images: number }): string {
  return `${counted(images, "image")} came too late for versions of ${dataset}: \`sluice versions late ${dataset}/<number>\` lists them`;
}
