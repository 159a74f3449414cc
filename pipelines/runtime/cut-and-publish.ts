import { randomUUID } from "node:crypto";
import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { sweepAttempts } from "../../operators/stages/attempt.js";
import { cut, type CutOptions } from "../../operators/stages/cut.js";
import { imageBytes, type Absence } from "../../operators/stages/image-bytes.js";
import { presentCard } from "../../operators/stages/teacher-registry.js";
import { publish, type Published } from "../../operators/stages/publish.js";
import { memoryLimit } from "../memory-estimate.js";
import { throwIfStopped } from "../../operators/stages/throw-if-stopped.js";
import { CODE_VERSION } from "../../schemas/code-version.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { OnProgress } from "../../schemas/progress.js";

export interface CutAndPublishOptions extends CutOptions {
  readonly store: Store;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** Nobody asked for this cut by hand: its frontier must not lie below its parent's */
  readonly automatic: boolean;
  /** The newest version of the span, which this one may repeat; by default the dataset's newest */
  readonly same?: Manifest | null | undefined;
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
  // A publisher that runs for long calls classes what they are called now.
  const card = await presentCard(store, options.card);
  const made = await cut({
    ...options,
    card,
    maxStateBytes: memoryLimit(),
    onSegment: (done) => {
      throwIfStopped(signal, "The cut was stopped on request; nothing of it is published.");
      onProgress?.({ phase: "cut", done, total: null, kept: 0, ...counts });
    },
  });
  const { bytesOf, absences } = imageBytes({ store, opener });
  const published = await publish(made, {
    store,
    bytesOf,
    sheets,
    automatic,
    same: options.same,
    onConflict: "next",
    now: () => new Date(),
    codeVersion: CODE_VERSION,
    attempt: attemptName(new Date()),
    commitId: randomUUID(),
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ rows, classes, classCount }) =>
      onProgress?.({ phase: "publish", done: classes, total: classCount, kept: rows, ...counts }),
  });
  await sweepAttempts(store, options.dataset.name, { consider: isOld, isDead: () => true });
  return { ...published, absences };
}

/** An attempt older than this is dead: none takes so long, and one that did would only have to publish again. */
const OLD_MS = 24 * 3600 * 1000;

/** Begins with the time, so that leftovers tell their age. */
function attemptName(now: Date): string {
  return `${now.getTime()}-${randomUUID()}`;
}

function isOld(attempt: string): boolean {
  return Number(attempt.split("-")[0]) < Date.now() - OLD_MS;
}
