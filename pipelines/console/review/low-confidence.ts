import type { Store } from "../../../connectors/store/store.js";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { digestText } from "../../../operators/version/fetched-images.js";
import type { ArchivedCard } from "../../../operators/archive/teacher-registry.js";
import { ERASED_URI } from "../../../schemas/erased.js";
import { HeldAnswers } from "../../versions/held-answers.js";
import { sampleArchive, type ReadSample } from "../archive-sample.js";

/** Images of the queue, at most */
export const LOW_CONFIDENCE_ROWS = 400;
/** Archived rows that are read for it, at most about: well under a second */
const MOST_READ = 200_000;
/** How long a queue stands while the archive grows, so that nobody loses their place in it, ms */
const STANDS_MS = 5 * 60_000;

/** An image of which the teacher's best class has a low probability. */
export interface LowConfidence {
  readonly sha256: string;
  readonly uri: string;
  readonly sizeBytes: number;
  /** Of the teacher: its best class */
  readonly class: number;
  readonly label: string;
  readonly probability: number;
}

export interface LowConfidenceQueue extends ReadSample {
  /** The least probable first */
  readonly images: readonly LowConfidence[];
}

/** The archived images that a teacher was least sure of, each once: of all of them, or of a sample. */
export class LowConfidenceQueues {
  readonly #store: Store;
  readonly #nowMs: () => number;
  readonly #held = new HeldAnswers<LowConfidenceQueue>(4);

  constructor(store: Store, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  of(teacher: string, stream: string, card: ArchivedCard): Promise<LowConfidenceQueue> {
    const turn = Math.floor(this.#nowMs() / STANDS_MS);
    return this.#held.get(`${teacher}/${stream}/${turn}`, 1, () => this.#read(teacher, stream, card));
  }

  async #read(teacher: string, stream: string, { labels }: ArchivedCard): Promise<LowConfidenceQueue> {
    const archive = new ArchiveReader(this.#store, { teacher, stream });
    const frontier = await archive.frontier({ onGap: () => undefined });
    const ranges = frontier.map(({ partition, origin, end }) => ({ partition, origin, from: origin, end }));
    const found = new Map<string, LowConfidence & { readonly key: number }>();
    /** Above it nothing is kept any more */
    let most = Number.POSITIVE_INFINITY;
    const sample = await sampleArchive(archive, ranges, MOST_READ, (batch) => {
      for (let row = 0; row < batch.count; row++) {
        const key = batch.keys[row * batch.topM]!;
        if (!(key <= most)) continue;
        const uri = batch.uri.get(row) ?? "";
        if (uri === ERASED_URI) continue;
        const index = batch.classes[row * batch.topM]!;
        const sha256 = digestText(batch, row);
        const label = labels[index] ?? String(index);
        const sizeBytes = batch.sizeBytes[row]!;
        found.set(sha256, { sha256, uri, sizeBytes, class: index, label, probability: Math.exp(key), key });
      }
      if (found.size <= 4 * LOW_CONFIDENCE_ROWS) return;
      const kept = leastSure([...found.values()]);
      found.clear();
      for (const one of kept) found.set(one.sha256, one);
      most = kept.at(-1)!.key;
    });
    const images = leastSure([...found.values()]).map(
      ({ sha256, uri, sizeBytes, class: index, label, probability }) => {
        return { sha256, uri, sizeBytes, class: index, label, probability };
      },
    );
    return { ...sample, images };
  }
}

function leastSure<T extends { readonly key: number; readonly sha256: string }>(images: readonly T[]): T[] {
  return images.toSorted((a, b) => a.key - b.key || (a.sha256 < b.sha256 ? -1 : 1)).slice(0, LOW_CONFIDENCE_ROWS);
}
