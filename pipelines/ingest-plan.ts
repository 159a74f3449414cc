import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Source, SourceItem } from "../connectors/source/source.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import { quota } from "../operators/select/quota.js";
import { EMPTY_PLACE, ranking } from "../operators/select/ranking.js";
import { wilsonInterval } from "../operators/training/paired-comparison.js";
import { SeededRandom } from "../operators/training/seeded-random.js";
import { ALL_ALLOWED } from "../schemas/allowance.js";
import { reserveOf, type Dataset } from "../schemas/dataset.js";
import { SluiceError } from "../schemas/errors.js";
import { teacherDigest } from "../schemas/model-card.js";
import type { IngestPlan, PlannedClass, PlannedDataset } from "../schemas/ingest-plan.js";
import type { Observed, Observer } from "../schemas/observed.js";
import { ingest, type IngestOptions, type IngestResult } from "./ingest.js";
import { openWorkspace, type Workspace } from "./open/workspace.js";

export interface IngestPlanOptions extends Pick<
  IngestOptions,
  "teacher" | "engine" | "decoder" | "opener" | "sheets" | "onProgress" | "stop"
> {
  readonly config: Workspace["config"];
  readonly source: Source;
  /** Images that are drawn and scored, at most */
  readonly images: number;
  readonly seed: number;
  /** What passed until now since the command began, ms */
  readonly begunMs: number;
  readonly nowMs?: () => number;
}

/** What of the sample passes before its rate counts: until then batches fill, and code is compiled. */
const WARM_UP = 0.25;
const CONFIDENCE = 0.95;

/**
 * Says what taking in a source would take. It is listed whole, and images of it, drawn at random, go the way of an ingest in a folder of their own, which is
 * removed: nothing is archived or published. Throws what an ingest throws, E_CANCELLED at a stop, and E_SOURCE_EMPTY where nothing of the sample could be scored.
 */
export async function planIngest(options: IngestPlanOptions): Promise<IngestPlan> {
  const { config, source, stop } = options;
  const { drawn, images } = await draw(options);
  const folder = await mkdtemp(join(tmpdir(), "sluice-plan-"));
  try {
    const workspace = await openWorkspace(
      { ...config, datasets: config.datasets.map(foreseen), data: folder, kafka: undefined, s3: undefined },
      "sluice ingest --plan",
    );
    try {
      const watch = new Watch(options.nowMs ?? Date.now);
      const result = await ingest({
        ...options,
        workspace,
        source: sampleOf(source, drawn),
        publish: true,
        allow: ALL_ALLOWED,
        observer: watch,
      });
      watch.end();
      if (stop.aborted) throw new SluiceError("E_CANCELLED", "Stopped on request: nothing was archived or published.");
      if (result.counts.scored === 0) {
        throw new SluiceError(
          "E_SOURCE_EMPTY",
          `Expected images of which a sample can be scored, found none among ${drawn.length}: ${result.counts.quarantined} were refused.`,
        );
      }
      return await planOf(options, workspace, { images, drawn: drawn.length, result, watch });
    } finally {
      await workspace.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A dataset without what a sample in a folder of its own cannot tell: what other teachers think of the images. */
function foreseen(dataset: Dataset): Dataset {
  const { where } = dataset.select;
  if (where?.scores === undefined) return dataset;
  return { ...dataset, select: { ...dataset.select, where: { ...where, scores: undefined } } };
}

/** Draws images at random, each with the same chance, and puts them into a random order. Returns how many there are, too. */
async function draw({
  source,
  images: most,
  seed,
  stop,
}: IngestPlanOptions): Promise<{ readonly drawn: readonly SourceItem[]; readonly images: number }> {
  const random = new SeededRandom(seed, "plan");
  const drawn: SourceItem[] = [];
  let images = 0;
  for await (const item of source.items(null)) {
    if (stop.aborted) throw new SluiceError("E_CANCELLED", "Stopped on request: nothing was archived or published.");
    images++;
    if (drawn.length < most) drawn.push(item);
    else {
      const at = random.below(images);
      if (at < most) drawn[at] = item;
    }
  }
  for (let last = drawn.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [drawn[last], drawn[other]] = [drawn[other]!, drawn[last]!];
  }
  return { drawn, images };
}

function sampleOf(source: Source, drawn: readonly SourceItem[]): Source {
  return {
    name: `plan/${source.name}`,
    estimate: () => Promise.resolve({ items: drawn.length }),
    account: () => source.account(),
    async *items(cursor) {
      if (cursor === null) yield* drawn.map(({ record }, at) => ({ record, cursor: String(at) }));
      await Promise.resolve();
    },
  };
}

/** Notes when batches were scored, and what making the versions took. */
class Watch implements Observer {
  readonly batches: { readonly images: number; readonly atMs: number }[] = [];
  publishMs = 0;
  versionRows = 0;
  readonly beganMs: number;
  readonly #nowMs: () => number;
  #endedMs: number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.beganMs = nowMs();
    this.#endedMs = this.beganMs;
  }

  /** The ingest of the sample has come to its end. */
  end(): void {
    this.#endedMs = this.#nowMs();
  }

  take(event: Observed): void {
    if (event.event === "batch.scored") this.batches.push({ images: event.images, atMs: this.#nowMs() });
    if (event.event === "version.cut") {
      this.publishMs += event.cutMs + event.publishMs;
      this.versionRows += event.rows;
    }
  }

  watch(): void {
    // Gauges are for those who ask for metrics.
  }

  /** What passed that neither the rate nor publishing tells of, ms: the beginning and the end of a run. */
  aroundMs(): number {
    return Math.max(0, this.#endedMs - this.beganMs - this.publishMs - (this.#images() * 1000) / this.rate());
  }

  #images(): number {
    return this.batches.reduce((sum, { images }) => sum + images, 0);
  }

  /** Images a second behind the warm-up; over all of it where that is one batch. */
  rate(): number {
    const total = this.#images();
    let passed = 0;
    const from = this.batches.findIndex(({ images }) => (passed += images) >= total * WARM_UP);
    const last = this.batches.at(-1)!.atMs;
    const first = this.batches[from]!.atMs;
    if (last > first) return ((total - passed) * 1000) / (last - first);
    return (total * 1000) / Math.max(1, last - this.beganMs);
  }
}

interface Sampled {
  readonly images: number;
  readonly drawn: number;
  readonly result: IngestResult;
  readonly watch: Watch;
}

async function planOf(
  options: IngestPlanOptions,
  { store, config }: Workspace,
  { images, drawn, result, watch }: Sampled,
): Promise<IngestPlan> {
  const { counts, stages, published } = result;
  const times = images / drawn;
  const datasets: PlannedDataset[] = [];
  let keptImages = 0;
  for (const dataset of options.config.datasets) {
    const expected = await expectedRows(options, store, dataset, { images, drawn });
    datasets.push(expected.planned);
    keptImages = Math.max(keptImages, expected.kept);
  }
  const rows = datasets.reduce((sum, one) => sum + one.rows, 0);
  const scores = (await sizeOf(store, "scores/")) + (await sizeOf(store, "runs/"));
  const files = published.flatMap(({ manifest }) => manifest.files).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const imagesPerS = watch.rate();
  const scoreS = (images * (counts.scored / drawn)) / imagesPerS;
  const moreRows = watch.versionRows === 0 ? 0 : rows / watch.versionRows;
  const publishS = (watch.publishMs / 1000) * Math.max(1, moreRows);
  const beginS = options.begunMs / 1000;
  const aroundS = watch.aroundMs() / 1000;
  return {
    images,
    sample: {
      scored: counts.scored + counts.copied,
      quarantined: counts.quarantined,
      tookS: (watch.batches.at(-1)!.atMs - watch.beganMs) / 1000,
    },
    imagesPerS,
    time: { beginS, aroundS, scoreS, publishS, totalS: beginS + aroundS + scoreS + publishS },
    engineHours: (scoreS * stages.shares.score) / 3600,
    bytes: {
      scores: Math.round(scores * times),
      kept: config.bytes === "keep" ? Math.round((keptImages * counts.sizeBytes) / counts.scored) : 0,
      versions: Math.round(files * moreRows),
    },
    datasets,
  };
}

/** How many rows each class would have, by how many of the sample's images stand for it. */
async function expectedRows(
  { teacher: { card }, config: { stream } }: IngestPlanOptions,
  store: Workspace["store"],
  dataset: Dataset,
  { images, drawn }: { readonly images: number; readonly drawn: number },
): Promise<{ readonly planned: PlannedDataset; readonly kept: number }> {
  const ranked = ranking(dataset.select, card);
  const found = new Float64Array(ranked.labels.length);
  let chosen = 0;
  const archive = new ArchiveReader(store, { teacher: teacherDigest(card), stream });
  for (const { partition, origin, end } of await archive.frontier()) {
    for await (const { batch } of archive.segments({ partition, origin }, origin, end)) {
      const { classes, keys, topM } = ranked.rank(batch);
      for (let row = 0; row < batch.count; row++) {
        let places = 0;
        for (let place = row * topM; place < row * topM + Math.min(topM, dataset.select.p); place++) {
          if (classes[place] === EMPTY_PLACE || keys[place]! < ranked.floorKey) continue;
          found[classes[place]!]!++;
          places++;
        }
        if (places > 0) chosen++;
      }
    }
  }
  const k = quota(dataset.select.k, ranked, { scored: images });
  const reserve = reserveOf(dataset);
  const classes = Array.from(found, (count, index): PlannedClass => {
    const { low, high } = wilsonInterval(count, drawn, CONFIDENCE);
    const most = k[index]!;
    const rowsOf = (share: number): number => Math.min(most, Math.round(share * images));
    const label = ranked.labels[index]!;
    return { class: index, label, k: most, rows: rowsOf(count / drawn), least: rowsOf(low), most: rowsOf(high) };
  });
  const places = found.reduce((sum, one) => sum + one, 0);
  const kept = found.reduce((sum, one, index) => sum + Math.min(k[index]! + reserve, (one / drawn) * images), 0);
  return {
    planned: {
      dataset: dataset.name,
      rows: classes.reduce((sum, one) => sum + one.rows, 0),
      full: classes.filter((one) => one.rows >= one.k).length,
      notForeseen: dataset.select.where?.scores === undefined ? [] : ["select.where.scores"],
      classes,
    },
    // An image stands in several classes.
    kept: places === 0 ? 0 : Math.min((chosen / drawn) * images, (kept * chosen) / places),
  };
}

async function sizeOf(store: Workspace["store"], prefix: string): Promise<number> {
  let sizeBytes = 0;
  for await (const one of store.list(prefix)) sizeBytes += one.sizeBytes;
  return sizeBytes;
}
