import { randomUUID } from "node:crypto";
import type { Allowance } from "../schemas/allowance.js";
import type { SheetRenderer } from "../connectors/sheet/sheet.js";
import type { ImageOpener } from "../connectors/source/source.js";
import type { Store } from "../connectors/store/store.js";
import type { CutOptions } from "../operators/state/cut.js";
import { readCards, type ArchivedCard } from "../operators/archive/teacher-registry.js";
import { manifestsNewestFirst, type OnDamaged } from "../operators/version/manifests.js";
import type { Dataset, Span } from "../schemas/dataset.js";
import { SluiceError } from "../schemas/errors.js";
import type { Manifest } from "../schemas/manifest.js";
import type { Observer } from "../schemas/observed.js";
import type { OnProgress } from "../schemas/progress.js";
import { rebuildPlace, type RebuildAim } from "./versions/rebuild-place.js";
import { cutAndPublish, type PublishedCut } from "./versions/cut-and-publish.js";

export interface RebuildOptions extends RebuildAim {
  readonly store: Store;
  readonly dataset: Dataset;
  readonly stream: string;
  /** Digest of the teacher whose scores are ranked, or its first digits; may be left out where there is only one */
  readonly teacher?: string;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** For the manifest. Default `rebuild`. */
  readonly trigger?: string;
  /** Leave out ranges whose segments are missing or corrupt, and mark the version incomplete */
  readonly onGap?: CutOptions["onGap"];
  /** What is published although nobody could want it; by default nothing is */
  readonly allow?: Allowance | undefined;
  readonly onProgress?: OnProgress;
  readonly observer?: Observer | undefined;
  readonly onWarning?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** By default the machine's clock */
  readonly nowMs?: () => number;
  /** Another one at each call; by default random */
  readonly newId?: () => string;
}

/** archive -> candidates -> topk -> cut -> training set: a version from archived scores, nothing is scored. */
export async function rebuild(options: RebuildOptions): Promise<PublishedCut> {
  const { store, dataset, stream, trigger = "rebuild", nowMs = Date.now, newId = randomUUID } = options;
  const { digest, card } = await archivedTeacher(store, options.teacher);
  const { frontier, span } = await rebuildPlace(store, { teacher: digest, stream }, dataset, options, options);
  const onDamaged = (error: SluiceError): void => options.onWarning?.(error.message);
  const same = await newestOfSpan(store, dataset.name, digest, span, onDamaged);
  const labels = options.at?.provenance.labels;
  const guard = options.at === undefined ? undefined : (options.at.guard?.objects ?? 0);
  const scores = options.at?.provenance.scores;
  const clock = { nowMs, newId };
  return cutAndPublish({
    ...options,
    ...clock,
    card,
    frontier,
    labels,
    guard,
    scores,
    span,
    same,
    trigger,
    automatic: false,
  });
}

/** The newest version of a span under a teacher: what a rebuild of it may repeat. */
async function newestOfSpan(
  store: Store,
  dataset: string,
  teacher: string,
  span: Span,
  onDamaged: OnDamaged,
): Promise<Manifest | null> {
  for await (const manifest of manifestsNewestFirst(store, dataset, onDamaged)) {
    if (manifest.teacher.digest !== teacher) continue;
    if (manifest.span.startMs === span.startMs && manifest.span.endMs === span.endMs) return manifest;
  }
  return null;
}

/**
 * The card of a teacher that has scored into this store. `prefix`: the first digits of its digest; without it, the declared teacher
 * where it has scored. Throws E_TEACHER_CARD where it is none or more than one.
 */
export async function archivedTeacher(
  store: Store,
  prefix = "",
  declared: { readonly digest: string } | null = null,
): Promise<{ digest: string; card: ArchivedCard }> {
  const cards = await readCards(store);
  const own = prefix === "" && declared !== null ? cards.get(declared.digest) : undefined;
  if (declared !== null && own !== undefined) return { digest: declared.digest, card: own };
  const found = [...cards].filter(([digest]) => digest.startsWith(prefix));
  const only = found[0];
  if (only === undefined || found.length > 1) {
    const all = [...cards].map(([digest, card]) => `${digest.slice(0, 12)} (${card.name})`).join(", ");
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected one teacher${prefix === "" ? "" : ` whose digest starts with "${prefix}"`} among those that have scored into ${store.place}, ` +
        `found ${found.length}: ${all === "" ? "no teacher has scored here yet; run `sluice ingest`" : `${all}; name one with --teacher-digest`}.`,
    );
  }
  return { digest: only[0], card: only[1] };
}
