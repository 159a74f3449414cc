import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader, currentFrontier, type FrontierOptions } from "../../operators/archive/archive-reader.js";
import { manifestsNewestFirst } from "../../operators/version/manifests.js";
import { newestSpan, spanFrom, spanUntil } from "../../operators/select/windows.js";
import type { Dataset, Span, Window } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import { endIn, type Frontier } from "../../schemas/frontier.js";
import type { Manifest } from "../../schemas/manifest.js";

/** Which scores a rebuild is made from, as asked for. */
export interface RebuildAim {
  /** The frontiers of a published version, of scores and of labels; by default all that is archived now */
  readonly at?: Manifest;
  /** Event times before this, ms: the newest window that had ended by then; of a global window the part before it */
  readonly untilMs?: number;
  /** The window that starts at this time, ms */
  readonly windowMs?: number;
}

/** The frontier and span that a rebuild cuts at. Throws E_SOURCE_MISSING, E_USAGE, E_CHAIN_GAP, E_SEGMENT_CORRUPT. */
export async function rebuildPlace(
  store: Store,
  archive: { readonly teacher: string; readonly stream: string },
  dataset: Dataset,
  aim: RebuildAim,
  reports: FrontierOptions,
): Promise<{ readonly frontier: Frontier; readonly span: Span }> {
  const frontier =
    aim.at === undefined
      ? reaching(await currentFrontier(store, archive, reports), await publishedFrontier(store, archive, dataset.name))
      : frontierOf(aim.at, archive);
  if (frontier.length === 0) {
    throw new SluiceError(
      "E_SOURCE_MISSING",
      `Expected archived scores of stream "${archive.stream}" under teacher ${archive.teacher.slice(0, 12)} in ${store.place}, found none. ` +
        "Run `sluice ingest` first, or name another stream.",
    );
  }
  return { frontier, span: await spanOf(store, archive, dataset, aim, frontier) };
}

/** A chain that ends before a published version's frontier has lost its last segments: the cut will meet that gap. */
function reaching(frontier: Frontier, published: Frontier): Frontier {
  return frontier.map((chain) => ({ ...chain, end: Math.max(chain.end, endIn(published, chain)) }));
}

/** The frontier of the dataset's newest version under a teacher; nothing where there is none. */
async function publishedFrontier(
  store: Store,
  { teacher, stream }: { readonly teacher: string; readonly stream: string },
  dataset: string,
): Promise<Frontier> {
  for await (const manifest of manifestsNewestFirst(store, dataset)) {
    if (manifest.teacher.digest === teacher && manifest.provenance.stream === stream)
      return manifest.provenance.frontier;
  }
  return [];
}

function frontierOf(at: Manifest, archive: { readonly teacher: string; readonly stream: string }): Frontier {
  const { teacher, provenance, dataset, number } = at;
  if (teacher.digest === archive.teacher && provenance.stream === archive.stream) return provenance.frontier;
  throw new SluiceError(
    "E_USAGE",
    `Expected a version made of stream "${archive.stream}" under teacher ${archive.teacher.slice(0, 12)}, found ${dataset}/${number}, ` +
      `made of stream "${provenance.stream}" under teacher ${teacher.digest.slice(0, 12)}. Name that one with --teacher-digest, or another version.`,
  );
}

async function spanOf(
  store: Store,
  archive: { readonly teacher: string; readonly stream: string },
  { window, name }: Dataset,
  { untilMs, windowMs }: RebuildAim,
  frontier: Frontier,
): Promise<Span> {
  if (windowMs !== undefined) {
    const span = spanFrom(window, windowMs);
    if (span !== null) return span;
    const before = newestSpan(window, windowMs);
    const near = window.kind === "global" ? "its window is global" : `one starts at ${isoOf(before.startMs)}`;
    throw new SluiceError(
      "E_USAGE",
      `Expected the start of a window of dataset "${name}", found ${isoOf(windowMs)}: ${near}.`,
    );
  }
  if (untilMs !== undefined) return spanUntil(window, untilMs);
  // As far as it has come: to a window that has ended, `untilMs` leads.
  return newestSpanAt(new ArchiveReader(store, archive), window, frontier);
}

/** The newest window that an archive has images of, below a frontier. */
export async function newestSpanAt(archive: ArchiveReader, window: Window, frontier: Frontier): Promise<Span> {
  if (window.kind === "global") return newestSpan(window, 0);
  const { watermarkMs: lastMs } = await archive.totalsAt(frontier, () => undefined);
  return newestSpan(window, lastMs ?? 0);
}

function isoOf(timeMs: number | null): string {
  return timeMs === null ? "ever" : new Date(timeMs).toISOString();
}
