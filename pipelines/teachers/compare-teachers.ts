import type { Store } from "../../connectors/store/store.js";
import { archivedChains } from "../../operators/archive/chain.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { digestText } from "../../operators/version/fetched-images.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";

/** An image that one teacher takes for a class and the other does not. */
export interface ChangedImage {
  readonly sha256: string;
  readonly uri: string;
  readonly sizeBytes: number;
  /** That the one that takes it for the class gives it */
  readonly probability: number;
  /** What the other one takes it for, by its number */
  readonly other: number;
}

export interface ComparedClass {
  /** Best by the first, by the second, by both */
  readonly first: number;
  readonly second: number;
  readonly both: number;
  /** Some of those that only the second takes for it, and only the first: the surest */
  readonly came: readonly ChangedImage[];
  readonly went: readonly ChangedImage[];
}

/** How two teachers see the records that both have scored, by their best class. */
export interface TeacherComparison {
  readonly both: number;
  /** Of these, how many have one best class */
  readonly same: number;
  /** By class, [C] */
  readonly classes: readonly ComparedClass[];
}

export interface ComparedPair {
  readonly first: string;
  readonly second: string;
  readonly classCount: number;
  /** Images of a class that are told of on either side, at most; by default none */
  readonly images?: number | undefined;
  /** Is told how many records both have scored, so far */
  readonly onRecords?: ((both: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface BestClass {
  readonly offset: bigint;
  readonly best: number;
  /** Valid until the next is asked for */
  readonly batch: ScoredBatch;
  readonly row: number;
}

/** Walks along both archives side by side, partition by partition: memory is flat. Both tell the same classes in one order. */
export async function compareTeachers(
  store: Store,
  stream: string,
  { first, second, classCount, images = 0, onRecords, signal }: ComparedPair,
): Promise<TeacherComparison> {
  const classes = Array.from({ length: classCount }, () => ({
    first: 0,
    second: 0,
    both: 0,
    came: new Surest(images),
    went: new Surest(images),
  }));
  let both = 0;
  let same = 0;
  const place = { teacher: second, stream };
  const partitions = new Set((await archivedChains(store, place)).map(({ partition }) => partition));
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const one = bestClasses(store, { teacher: first, stream }, partition);
    const other = bestClasses(store, place, partition);
    let [a, b] = [await one.next(), await other.next()];
    while (a.done !== true && b.done !== true && signal?.aborted !== true) {
      if (a.value.offset < b.value.offset) a = await one.next();
      else if (b.value.offset < a.value.offset) b = await other.next();
      else {
        both++;
        const [before, after] = [classes[a.value.best]!, classes[b.value.best]!];
        before.first++;
        after.second++;
        if (before === after) {
          same++;
          before.both++;
        } else {
          after.came.offer(b.value, a.value.best);
          before.went.offer(a.value, b.value.best);
        }
        if (both % RECORDS_A_REPORT === 0) onRecords?.(both);
        [a, b] = [await one.next(), await other.next()];
      }
    }
  }
  return {
    both,
    same,
    classes: classes.map(({ came, went, ...counts }) => ({ ...counts, came: came.images, went: went.images })),
  };
}

const RECORDS_A_REPORT = 1000;

/** The images of the greatest keys, each once. */
class Surest {
  readonly #most: number;
  #held: (ChangedImage & { readonly key: number })[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  offer({ batch, row }: BestClass, other: number): void {
    const key = batch.keys[row * batch.topM]!;
    if (this.#most === 0 || (this.#held.length === this.#most && key <= this.#held.at(-1)!.key)) return;
    const sha256 = digestText(batch, row);
    if (this.#held.some((one) => one.sha256 === sha256)) return;
    const [uri, sizeBytes] = [batch.uri.get(row) ?? "", batch.sizeBytes[row]!];
    this.#held.push({ sha256, uri, sizeBytes, probability: Math.exp(key), other, key });
    this.#held = this.#held.sort((a, b) => b.key - a.key).slice(0, this.#most);
  }

  get images(): ChangedImage[] {
    return this.#held.map(({ sha256, uri, sizeBytes, probability, other }) => {
      return { sha256, uri, sizeBytes, probability, other };
    });
  }
}

/** In the order of offsets: no two chains share one. */
async function* bestClasses(
  store: Store,
  archive: { readonly teacher: string; readonly stream: string },
  partition: number,
): AsyncGenerator<BestClass, void, undefined> {
  const reader = new ArchiveReader(store, archive);
  for (const chain of await reader.chains()) {
    if (chain.partition !== partition) continue;
    const end = await reader.chain(chain).end(chain.origin);
    for await (const { batch } of reader.segments(chain, chain.origin, end)) {
      for (let row = 0; row < batch.count; row++) {
        yield { offset: batch.offset[row]!, best: batch.classes[row * batch.topM]!, batch, row };
      }
    }
  }
}
