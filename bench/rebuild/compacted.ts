import { cp } from "node:fs/promises";
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { compact } from "../../pipelines/compact.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { cachedArchive } from "../cache.js";
import { short, type BenchOptions } from "../harness.js";
import { benchCard, makeArchive, STREAM } from "./archive.js";

/** The archive of `makeArchive` as segments. */
export function segmentsArchive(images: number): Promise<string> {
  return cachedArchive(`rebuild-archive-${images}`, (made) => makeArchive(made, images));
}

/** The same as runs, as `sluice compact` leaves it. */
export function compactedArchive(images: number, print: BenchOptions["print"]): Promise<string> {
  return cachedArchive(`rebuild-runs-${images}`, async (made) => {
    await cp(await segmentsArchive(images), made, { recursive: true });
    const store = await openFilesystemStore(join(made, "store"), { concurrency: 4 });
    let files = 0;
    const begin = performance.now();
    const done = await compact({
      store,
      teacher: teacherDigest(benchCard()),
      stream: STREAM,
      nowMs: () => 1_790_000_000_000,
      attempt: () => `bench${files++}`,
    });
    await store.close();
    const perSecond = (1000 * done.rows) / (performance.now() - begin);
    print(`  compacted ${done.segments} segments into ${done.runs} runs, ${short(perSecond)} rows/s`);
  });
}
