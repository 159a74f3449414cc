import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { openEmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { LocalScoreIndex, type LocalTable } from "../../pipelines/flow/score-index.js";
import { short, type BenchOptions, type Measures } from "../harness.js";
import { randomWords } from "../../test/fixtures/random.js";
import { ARCHIVE, CHAINS, digestAt, imagesIn } from "./many-segments.js";
import { memoryTable } from "./memory-table.js";

/** Images whose rows are read at once: a scorer fetches and decodes as many beside them */
const AT_ONCE = 64;

/**
 * Images that came before, in random order over all of an archive, on a machine that has followed it and on one that has only its tail:
 * rows read a second.
 */
export async function measureRepeats(
  store: Store,
  segments: number,
  repeats: number,
  print: BenchOptions["print"],
): Promise<Measures & { readonly repeatsPerSecond: number; readonly newMachinePerSecond: number }> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-repeats-"));
  const log = await openEmbeddedLog(folder, { exclusive: true, command: "bench" });
  try {
    const table = log.table("scores");
    await followAll(store, table);
    const repeatsPerSecond = await perSecond(new LocalScoreIndex(store, table, ARCHIVE), segments, repeats);
    const newMachinePerSecond = await perSecond(new LocalScoreIndex(store, memoryTable(), ARCHIVE), segments, repeats);
    print(`  repeats: ${short(repeatsPerSecond)}/s, on a new machine ${short(newMachinePerSecond)}/s`);
    return { repeatsPerSecond, newMachinePerSecond };
  } finally {
    await log.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** As a scorer that has archived every segment itself. */
async function followAll(store: Store, table: LocalTable): Promise<void> {
  const index = new LocalScoreIndex(store, table, ARCHIVE);
  const archive = new ArchiveReader(store, ARCHIVE);
  for (const chain of CHAINS) {
    const reader = archive.chain(chain);
    for await (const segment of reader.segments(chain.origin, await reader.end())) await index.take(segment);
  }
}

async function perSecond(index: LocalScoreIndex, segments: number, repeats: number): Promise<number> {
  for (const chain of CHAINS) await index.catchUp(chain);
  const random = randomWords(20_261_129);
  const each = imagesIn(segments) / CHAINS.length;
  let left = repeats;
  const reading = async (): Promise<void> => {
    while (left-- > 0) {
      const digest = digestAt(random() % CHAINS.length, random() % each);
      await index.look(digest);
      const found = index.find(digest);
      if (found === null) throw new Error(`the image ${Buffer.from(digest).toString("hex")} is not known`);
      await found;
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, reading));
  return (1000 * repeats) / (performance.now() - begin);
}
