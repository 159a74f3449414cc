import type { Store } from "../../connectors/store/store.js";
import { Coverage } from "../../operators/state/coverage.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { paneOf } from "../../operators/select/windows.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readLostRanges } from "../../operators/archive/lost-ranges.js";
import { newestCoverage } from "../../operators/state/checkpoint.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { Segment } from "../../schemas/segment.js";
import type { CutFacts } from "./cut-scheduler.js";

export interface ArchiveFactsOptions {
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  readonly card: ClassNames;
  readonly datasets: readonly Dataset[];
  /** See `CutFacts` */
  readonly countsOf: (dataset: Dataset, span: Span) => Iterable<number>;
}

interface Facts {
  readonly dataset: Dataset;
  readonly coverage: Coverage;
  readonly panes: Set<number>;
  readonly isCheckpointed: boolean;
}

/** What of an archive triggers are judged by, without any top-K state: some bytes a pane. */
export class ArchiveFacts implements CutFacts {
  readonly #options: ArchiveFactsOptions;
  readonly #facts: readonly Facts[];

  private constructor(options: ArchiveFactsOptions, facts: readonly Facts[]) {
    this.#options = options;
    this.#facts = facts;
  }

  /** As of the newest checkpoints at or below `frontier`. */
  static async restore(options: ArchiveFactsOptions, frontier: Frontier): Promise<ArchiveFacts> {
    const { store, teacher, stream, card } = options;
    const facts: Facts[] = [];
    const lost = await readLostRanges(store, options);
    for (const dataset of options.datasets) {
      const newest = await newestCoverage(store, parametersDigest(dataset, teacher, stream, card), frontier, lost);
      facts.push({
        dataset,
        coverage: new Coverage(newest?.coverage),
        panes: new Set(newest?.panes),
        isCheckpointed: newest !== null,
      });
    }
    return new ArchiveFacts(options, facts);
  }

  /** Whether there is a checkpoint of a dataset's parameters at all */
  isCheckpointed(dataset: Dataset): boolean {
    return this.#of(dataset).isCheckpointed;
  }

  /** Counts what the archive has up to `frontier`, and no more: which panes have images is not looked at. Ends at a gap. */
  async countTo(frontier: Frontier): Promise<void> {
    const archive = new ArchiveReader(this.#options.store, this.#options);
    for (const { end, ...place } of frontier) {
      const from = Math.min(end, ...this.#facts.map(({ coverage }) => coverage.endIn(place)));
      const gap = new AbortController();
      const onGap = (): void => {
        gap.abort();
      };
      for await (const header of archive.chain(place).headers(from, end, onGap)) {
        if (gap.signal.aborted) break;
        for (const { coverage } of this.#facts)
          if (coverage.take(header) && header.watermarkMs !== null) coverage.reach(header.watermarkMs);
      }
    }
  }

  get datasets(): readonly Dataset[] {
    return this.#options.datasets;
  }

  coverageOf(dataset: Dataset): Coverage {
    return this.#of(dataset).coverage;
  }

  panesOf(dataset: Dataset): number[] {
    return [...this.#of(dataset).panes].sort((a, b) => a - b);
  }

  countsOf(dataset: Dataset, span: Span): Iterable<number> {
    return this.#options.countsOf(dataset, span);
  }

  /** Takes in what the archive has up to `frontier`. */
  async catchUp(frontier: Frontier): Promise<void> {
    const archive = new ArchiveReader(this.#options.store, this.#options);
    for (const { end, ...place } of frontier) {
      const ends = this.#facts.map(({ coverage }) => coverage.endIn(place));
      for await (const segment of archive.segments(place, Math.min(end, ...ends), end)) this.onSegment(segment);
    }
  }

  onSegment({ header, batch }: Segment): void {
    for (const { dataset, coverage, panes } of this.#facts) {
      if (!coverage.take(header)) continue;
      coverage.observe(batch.eventTimeMs);
      for (const timeMs of batch.eventTimeMs) {
        const pane = paneOf(dataset.window, Number(timeMs));
        if (pane !== null) panes.add(pane);
      }
    }
  }

  #of(dataset: Dataset): Facts {
    const found = this.#facts.find((one) => one.dataset.name === dataset.name);
    if (found === undefined) throw new SluiceError("E_DATASET_UNKNOWN", `Expected a dataset "${dataset.name}".`);
    return found;
  }
}
