import { randomUUID } from "node:crypto";
import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { cut, type CutOptions } from "../../operators/stages/cut.js";
import { imageBytes, type Absence } from "../../operators/stages/image-bytes.js";
import { publish, type Published } from "../../operators/stages/publish.js";
import { CODE_VERSION } from "../../schemas/code-version.js";
import type { OnProgress } from "../../schemas/progress.js";

export interface CutAndPublishOptions extends CutOptions {
  readonly store: Store;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** Nobody asked for this cut by hand: its frontier must not lie below its parent's */
  readonly automatic: boolean;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface PublishedCut extends Published {
  /** Rows published without their bytes, and why: the first of them */
  readonly absences: readonly Absence[];
}

/** The one way to a version: live publishing, rebuild and reproduce cut here and publish here. */
export async function cutAndPublish(options: CutAndPublishOptions): Promise<PublishedCut> {
  const { store, opener, sheets, automatic, onProgress, signal } = options;
  const counts = { scored: 0, copied: 0, quarantined: 0 };
  const made = await cut({
    ...options,
    onSegment: (done) => onProgress?.({ phase: "cut", done, total: null, kept: 0, ...counts }),
  });
  const { bytesOf, absences } = imageBytes({ store, opener });
  const published = await publish(made, {
    store,
    bytesOf,
    sheets,
    automatic,
    onConflict: "next",
    now: () => new Date(),
    codeVersion: CODE_VERSION,
    attempt: randomUUID(),
    commitId: randomUUID(),
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ rows, classes, classCount }) =>
      onProgress?.({ phase: "publish", done: classes, total: classCount, kept: rows, ...counts }),
  });
  return { ...published, absences };
}
