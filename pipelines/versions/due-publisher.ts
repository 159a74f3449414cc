import { UNWANTED_CODES } from "../../operators/version/unwanted.js";
import { newestManifest } from "../../operators/version/manifests.js";
import { isSluiceError, type SluiceError } from "../../schemas/errors.js";
import { frontierName, type Frontier } from "../../schemas/frontier.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { cutAndPublish, sweepOldAttempts, type CutAndPublishOptions, type PublishedCut } from "./cut-and-publish.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { CutScheduler, DueCut } from "../flow/cut-scheduler.js";

export type DuePublisherOptions = Omit<
  CutAndPublishOptions,
  "dataset" | "span" | "trigger" | "same" | "frontier" | "automatic" | "signal" | "onWarning"
> & {
  readonly scheduler: CutScheduler;
  /** Throws where nothing may be published, say since a declaration has changed meanwhile */
  readonly mayPublish?: (() => Promise<void>) | undefined;
  readonly onPublished?: ((published: PublishedCut) => void) | undefined;
  readonly onWarning?: ((message: string, code?: string) => void) | undefined;
  /** Is called once for a version that goes on being refused */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined;
};

/** A version that was due and that nobody could want: nothing of it is published. */
export interface Refusal {
  readonly dataset: string;
  readonly error: SluiceError;
}

/** A cut that gave nothing new is not made again at the same frontier for so long, one that was refused at none, ms. */
const AGAIN_AFTER_MS = 60_000;

/** Publishes what is due, beside other publishers. */
export class DuePublisher {
  readonly #options: DuePublisherOptions;
  readonly #cutting: Omit<DuePublisherOptions, "scheduler" | "onPublished" | "onWarning"> &
    Pick<CutAndPublishOptions, "onWarning">;
  /** By dataset and span: at which frontier a cut gave nothing new, and when */
  readonly #unchanged = new Map<string, { readonly frontier: string; readonly atMs: number }>();
  /** By dataset and span: with which code a cut was refused, and when */
  readonly #refused = new Map<string, { readonly code: string; readonly atMs: number }>();

  constructor(options: DuePublisherOptions) {
    this.#options = options;
    const { onWarning, ...cutting } = options;
    this.#cutting = onWarning === undefined ? cutting : { ...cutting, onWarning };
  }

  /** What others have published is not due again. */
  async learn(dataset: DueCut["dataset"]): Promise<void> {
    const { store, card, scheduler } = this.#options;
    const newest = await newestManifest(store, dataset.name);
    if (newest?.teacher.digest === teacherDigest(card)) scheduler.published(dataset, newest);
  }

  /**
   * Makes the versions one after the other; one that is refused does not hold up the rest, and is told of once. Without
   * `signal` nothing stops it. Throws what a cut and a publication throw, E_PUBLISH_CONFLICT apart.
   */
  async publish(
    due: readonly DueCut[],
    frontier: Frontier,
    signal?: AbortSignal,
  ): Promise<{
    readonly published: readonly PublishedCut[];
    readonly refused: readonly Refusal[];
    /** Versions that were due, and that `signal` kept from being made */
    readonly leftDue: number;
  }> {
    const { scheduler, mayPublish, onPublished, onWarning, onRefused, nowMs } = this.#options;
    const published: PublishedCut[] = [];
    const refused: Refusal[] = [];
    let leftDue = 0;
    const isStopped = (): boolean => signal?.aborted === true;
    // Looking for a dataset's newest version reads the names of all, and what old attempts left is looked for among all files: once each.
    const newest = new Map<string, Manifest>();
    for (const cut of due) {
      const place = `${cut.dataset.name} ${cut.span.startMs}..${cut.span.endMs}`;
      if (this.#isSettled(place, frontier)) continue;
      if (isStopped()) {
        leftDue++;
        continue;
      }
      await mayPublish?.();
      try {
        const made = await cutAndPublish({
          ...this.#cutting,
          ...cut,
          frontier,
          automatic: true,
          parent: newest.get(cut.dataset.name),
          sweep: false,
          ...(signal === undefined ? {} : { signal }),
        });
        scheduler.published(cut.dataset, made.manifest);
        this.#refused.delete(place);
        published.push(made);
        if (made.outcome === "exists") newest.delete(cut.dataset.name);
        if (made.outcome === "created") {
          newest.set(cut.dataset.name, made.manifest);
          onPublished?.(made);
        } else this.#unchanged.set(place, { frontier: frontierName(frontier), atMs: nowMs() });
      } catch (error) {
        if (isStopped() && isSluiceError(error, "E_CANCELLED")) leftDue++;
        else if (isUnwanted(error)) {
          const refusal = { dataset: cut.dataset.name, error };
          const { code } = error;
          this.#options.observer?.take({ event: "version.refused", dataset: cut.dataset.name, code });
          if (this.#refused.get(place)?.code !== error.code) onRefused?.(refusal);
          this.#refused.set(place, { code: error.code, atMs: nowMs() });
          refused.push(refusal);
        } else if (isSluiceError(error, "E_PUBLISH_CONFLICT")) {
          // Another publisher was quicker, with more than this one has seen.
          newest.delete(cut.dataset.name);
          onWarning?.(error.message, error.code);
          await this.learn(cut.dataset);
        } else throw error;
      }
    }
    if (published.length > 0) {
      for (const dataset of new Set(due.map((cut) => cut.dataset.name)))
        await sweepOldAttempts(this.#options.store, dataset, nowMs());
    }
    return { published, refused, leftDue };
  }

  #isSettled(place: string, frontier: Frontier): boolean {
    const { nowMs } = this.#options;
    const unchanged = this.#unchanged.get(place);
    if (unchanged?.frontier === frontierName(frontier) && nowMs() - unchanged.atMs < AGAIN_AFTER_MS) return true;
    const refused = this.#refused.get(place);
    return refused !== undefined && nowMs() - refused.atMs < AGAIN_AFTER_MS;
  }
}

function isUnwanted(error: unknown): error is SluiceError {
  return UNWANTED_CODES.some((code) => isSluiceError(error, code));
}
