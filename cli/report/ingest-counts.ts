import { countText, plural } from "../wording.js";

/** Of one run */
export interface IngestCounts {
  readonly scored: number;
  readonly copied: number;
  readonly quarantined: number;
  readonly lost: number;
}

/** `Scored 12,800 images, copied 150, quarantined 71 (…).` */
export function ingestCounts({ scored, copied, quarantined, lost }: IngestCounts): string {
  return [
    `Scored ${plural(scored, "image")}`,
    copied === 0 ? "" : `, copied the scores of ${plural(copied, "duplicate")}`,
    quarantined === 0 ? "" : `, quarantined ${countText(quarantined)} (\`sluice quarantine list\` says why)`,
    lost === 0 ? "" : `, lost ${countText(lost)} that the log no longer had`,
    ".",
  ].join("");
}

/** `3 images came too late for versions of daily: …` */
export function lateText({ dataset, images }: { readonly dataset: string; readonly images: number }): string {
  return `${plural(images, "image")} came too late for versions of ${dataset}: \`sluice versions late ${dataset}/<number>\` lists them`;
}
