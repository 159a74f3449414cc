import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { archivedLabels, labelFrontier } from "../../operators/archive/image-labels.js";
import { readCards, type ArchivedCard } from "../../operators/archive/teacher-registry.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { paneSpan } from "../../operators/select/windows.js";
import { newestCoverage, restoreSpan } from "../../operators/state/checkpoint.js";
import { Coverage } from "../../operators/state/coverage.js";
import { DigestSet } from "../../operators/topk/digest-set.js";
import type { TopkRows } from "../../operators/topk/topk.js";
import { readDeclarations } from "../../operators/version/declarations.js";
import { manifestsNewestFirst, publishedDatasets } from "../../operators/version/manifests.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import type { SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { readIndexColumns } from "../versions/index-reader.js";

/** Numbers of versions whose rows nobody needs, by dataset: those that are let go. */
export type LeavingRows = ReadonlyMap<string, ReadonlySet<number>>;
const NONE_LEAVES: LeavingRows = new Map();

/** First 128 bits of a digest, as four words: an image's identity */
const WORDS = 4;
const WORD_BYTES = 4;

/** What keeps an image's bytes. */
export interface Needed {
  /** `digest`: 32 bytes */
  has(digest: Uint8Array): boolean;
  /** Every image is: nothing is declared of the stream, or its declaration keeps all of them */
  readonly isAll: boolean;
  /** Digests of states whose checkpoints somebody may need */
  readonly parameters: ReadonlySet<string>;
  /** Images in the sets */
  readonly count: number;
}

/**
 * The images of a stream whose bytes somebody needs: the best K + R of each declared dataset under every teacher that has scored,
 * in every pane; what was archived since their checkpoints; all rows of all versions; whatever has a label. Throws E_STORE_CORRUPT where
 * a version cannot be read: then nobody knows what it needs.
 */
export async function neededImages(store: Store, stream: string, leaving: LeavingRows = NONE_LEAVES): Promise<Needed> {
  const images = new DigestSet();
  const { datasets, others, settings } = await readDeclarations(store, stream);
  const isAll = datasets.length === 0 || settings?.retainBytes === "all";
  const parameters = new Set<string>();
  for (const [teacher, card] of await readCards(store)) {
    for (const { dataset, stream: over } of [...datasets, ...others.values()])
      if (dataset !== null) parameters.add(parametersDigest(dataset, teacher, over, card));
    if (isAll) continue;
    for (const { dataset } of datasets) await addChosen(store, { dataset, teacher, stream, card }, images);
  }
  await addVersions(store, images, leaving);
  for await (const label of archivedLabels(store, stream, await labelFrontier(store, stream)))
    if (label.verdict !== "erased") images.add(Buffer.from(label.sha256, "hex"), 0);
  return { has: (digest) => images.has(digest, 0), isAll, parameters, count: images.size };
}

interface StateOptions {
  readonly dataset: Dataset;
  readonly teacher: string;
  readonly stream: string;
  readonly card: ArchivedCard;
}

/** What a dataset's newest checkpoints hold, and every image archived behind them: it may be chosen yet. */
async function addChosen(store: Store, options: StateOptions, images: DigestSet): Promise<void> {
  const { dataset, teacher, stream, card } = options;
  const archive = new ArchiveReader(store, { teacher, stream });
  const frontier = await archive.frontier();
  const lost = await archive.lostRanges();
  const newest = await newestCoverage(store, parametersDigest(dataset, teacher, stream, card), frontier, lost);
  const spans: Span[] =
    dataset.window.kind === "global"
      ? [{ startMs: null, endMs: null }]
      : (newest?.panes ?? []).map((pane) => paneSpan(dataset.window, pane));
  let covered: Coverage | null = null;
  for (const span of newest === null ? [] : spans) {
    const { topk, coverage } = await restoreSpan(store, options, span, frontier, undefined, lost);
    covered = leastOf(covered, new Coverage(coverage.value));
    [...topk.counts()].forEach((_, index) => {
      addRows(topk.rows(index), images);
    });
  }
  for (const { end, ...chain } of frontier) {
    const from = covered?.endIn(chain) ?? chain.origin;
    for await (const { batch } of archive.segments(chain, from, end))
      for (let row = 0; row < batch.count; row++) images.add(batch.digest, row * DIGEST_BYTES);
  }
}

/** Checkpoints may be written between two spans: what the one that came least far has not is read of the archive. */
function leastOf(a: Coverage | null, b: Coverage): Coverage {
  return a === null || b.records.in < a.records.in ? b : a;
}

function addRows({ count, identity }: TopkRows, images: DigestSet): void {
  const digest = Buffer.alloc(DIGEST_BYTES);
  for (let row = 0; row < count; row++) {
    for (let word = 0; word < WORDS; word++) digest.writeUInt32BE(identity[WORDS * row + word]!, WORD_BYTES * word);
    images.add(digest, 0);
  }
}

async function addVersions(store: Store, images: DigestSet, leaving: LeavingRows): Promise<void> {
  const refuse = (error: SluiceError): never => {
    throw error;
  };
  for (const dataset of await publishedDatasets(store)) {
    for await (const manifest of manifestsNewestFirst(store, dataset, refuse)) {
      if (leaving.get(dataset)?.has(manifest.number) === true) continue;
      for await (const { count, sha256 } of readIndexColumns(store, manifest))
        for (let row = 0; row < count; row++) images.add(Buffer.from(sha256[row]!, "hex"), 0);
    }
  }
}
