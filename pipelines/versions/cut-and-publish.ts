import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { sweepAttempts } from "../../operators/version/attempt.js";
import { cut, type CutOptions } from "../../operators/state/cut.js";
import { imageBytes, type Absence } from "../../operators/image/image-bytes.js";
import { presentCard } from "../../operators/archive/teacher-registry.js";
import { NOTHING_ALLOWED, type Allowance } from "../../schemas/allowance.js";
import { publish, type Published } from "../../operators/version/publish.js";
import { relocatedOpener } from "../open/relocated-opener.js";
import { pinned } from "../flow/pinned.js";
import { memoryLimit } from "../flow/memory-estimate.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { CODE_VERSION } from "../../schemas/code-version.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { Observer } from "../../schemas/observed.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { TracedImages } from "../flow/traced-images.js";
import { TracedRows } from "./traced-rows.js";
import { driftSince } from "./version-drift.js";
import { newestManifest } from "../../operators/version/manifests.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import type { Drift } from "../../schemas/drift.js";

export interface CutAndPublishOptions extends CutOptions {
  readonly store: Store;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** Nobody asked for this cut by hand: its frontier must not lie below its parent's */
  readonly automatic: boolean;
  /** The newest version of the span, which this one may repeat; by default the dataset's newest */
  readonly same?: Manifest | null | undefined;
  /** See `PublishOptions` */
  readonly parent?: Manifest | undefined;
  /** Remove what old attempts left behind. Default true; who publishes many versions does it once */
  readonly sweep?: boolean;
  readonly onProgress?: OnProgress;
  readonly observer?: Observer | undefined;
  /** Traced images that were ranked: the way of each ends with the version that it comes into, or not */
  readonly traced?: TracedImages | undefined;
  readonly signal?: AbortSignal;
  /** What is published although nobody could want it; by default nothing is */
  readonly allow?: Allowance | undefined;
  readonly nowMs: () => number;
  /** Another one at each call */
  readonly newId: () => string;
}

export interface PublishedCut extends Published {
  /** Rows published without their bytes, and why: the first of them */
  readonly absences: readonly Absence[];
}

/** The one way to a version: live publishing, rebuild and reproduce cut here and publish here, under a pin. */
export async function cutAndPublish(options: CutAndPublishOptions): Promise<PublishedCut> {
  const archive = { teacher: teacherDigest(options.card), stream: options.stream };
  return pinned(options.store, archive, "cut", options, () => cutAndPublishPinned(options));
}

async function cutAndPublishPinned(options: CutAndPublishOptions): Promise<PublishedCut> {
  const { store, opener, sheets, automatic, onProgress, observer, signal, nowMs, newId } = options;
  const turned = (): void => observer?.take({ event: "loop.turned", loop: "publish" });
  const counts = { scored: 0, copied: 0, quarantined: 0 };
  // A publisher that runs for long calls classes what they are called now.
  const card = await presentCard(store, options.card);
  const beganMs = nowMs();
  const made = await cut({
    ...options,
    card,
    maxStateBytes: memoryLimit(),
    onSegment: (done) => {
      throwIfStopped(signal, "The cut was stopped on request; nothing of it is published.");
      turned();
      onProgress?.({ phase: "cut", done, total: null, kept: 0, ...counts });
    },
  });
  const cutMs = nowMs() - beganMs;
  const { read, expect, absences } = imageBytes({
    store,
    opener: relocatedOpener(opener, { store, nowMs }),
    archive: { teacher: made.teacher.digest, stream: made.stream },
  });
  const traced = new TracedRows(options.traced?.due(options.dataset.name, options.frontier) ?? []);
  const drift = await driftOf(options, made);
  const published = await publish(traced.of(made), {
    store,
    drift,
    read,
    expect,
    absences,
    allow: options.allow ?? NOTHING_ALLOWED,
    sheets,
    automatic,
    same: options.same,
    parent: options.parent,
    onConflict: "next",
    now: () => new Date(nowMs()),
    codeVersion: CODE_VERSION,
    // Begins with the time, so that leftovers tell their age.
    attempt: `${nowMs()}-${newId()}`,
    commitId: newId(),
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ rows, classes, classCount }) => {
      turned();
      onProgress?.({ phase: "publish", done: classes, total: classCount, kept: rows, ...counts });
    },
  });
  const { number, id, totals } = published.manifest;
  observer?.take({
    event: "version.cut",
    dataset: options.dataset.name,
    number,
    id,
    outcome: published.outcome,
    rows: totals.rows,
    drift: published.manifest.provenance.drift ?? null,
    cutMs,
    publishMs: nowMs() - beganMs - cutMs,
  });
  if (published.outcome === "created") {
    options.traced?.publish(traced.found(), { dataset: options.dataset.name, number, id, startMs: beganMs });
  }
  if (options.sweep !== false) await sweepOldAttempts(store, options.dataset.name, nowMs());
  return { ...published, absences };
}

/** null where the dataset does not ask for it, or has no version before. */
async function driftOf({ store, card, dataset, parent }: CutAndPublishOptions, made: Cut): Promise<Drift | null> {
  if (dataset.drift === undefined) return null;
  const since = parent ?? (await newestManifest(store, dataset.name));
  const { stream, frontier } = made;
  return since === null ? null : driftSince({ store, card, stream, select: made.dataset.select, frontier }, since);
}

/** Removes what attempts of a day ago and more left behind. */
export async function sweepOldAttempts(store: Store, dataset: string, nowMs: number): Promise<void> {
  const oldMs = nowMs - OLD_MS;
  await sweepAttempts(store, dataset, { consider: (attempt) => Number(attempt.split("-")[0]) < oldMs });
}

/** Younger attempts are not even looked at: most of them are at work. */
const OLD_MS = 24 * 3600 * 1000;
