import type { Store } from "../../connectors/store/store.js";
import { archivedChains } from "../../operators/archive/chain.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";

/** How two teachers see the records that both have scored, by their best class. */
export interface TeacherComparison {
  readonly both: number;
  /** Of these, how many have one best class */
  readonly same: number;
  /** By class: best by the first, by the second, by both, [C] */
  readonly classes: readonly { readonly first: number; readonly second: number; readonly both: number }[];
}

interface BestClass {
  readonly offset: bigint;
  readonly best: number;
}

/** Walks along both archives side by side, partition by partition: memory is flat. Both tell the same classes in one order. */
export async function compareTeachers(
  store: Store,
  stream: string,
  teachers: { readonly first: string; readonly second: string; readonly classCount: number },
): Promise<TeacherComparison> {
  const classes = Array.from({ length: teachers.classCount }, () => ({ first: 0, second: 0, both: 0 }));
  let both = 0;
  let same = 0;
  const place = { teacher: teachers.second, stream };
  const partitions = new Set((await archivedChains(store, place)).map(({ partition }) => partition));
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const one = bestClasses(store, { teacher: teachers.first, stream }, partition);
    const other = bestClasses(store, place, partition);
    let [a, b] = [await one.next(), await other.next()];
    while (a.done !== true && b.done !== true) {
      if (a.value.offset < b.value.offset) a = await one.next();
      else if (b.value.offset < a.value.offset) b = await other.next();
      else {
        both++;
        classes[a.value.best]!.first++;
        classes[b.value.best]!.second++;
        if (a.value.best === b.value.best) {
          same++;
          classes[a.value.best]!.both++;
        }
        [a, b] = [await one.next(), await other.next()];
      }
    }
  }
  return { both, same, classes };
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
        yield { offset: batch.offset[row]!, best: batch.classes[row * batch.topM]! };
      }
    }
  }
}
