import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openFilesystemStore } from "../connectors/store/filesystem/filesystem-store.js";
import type { Store } from "../connectors/store/store.js";
import { missingPrograms } from "../deploy/local/command.js";
import { startMinio } from "../deploy/local/minio.js";
import { openBucket } from "../pipelines/open/open-bucket.js";
import { makeManySegments } from "./archive/many-segments.js";
import { readAll, READINGS, type Reading, type ReadingName } from "./archive/readings.js";
import { measureRepeats } from "./archive/repeats.js";
import { cachedArchive } from "./cache.js";
import { median, short, type Bench, type BenchOptions } from "./harness.js";

/** Segments of the small archive and of the large one */
type Sizes = readonly [number, number];
const FOLDER: Sizes = [1000, 100_000];
const BUCKET: Sizes = [500, 20_000];
const TINY: Sizes = [120, 400];
/** `1000x20000`: other sizes for both, for a machine that has little time */
const asked = /^(\d+)x(\d+)$/.exec(process.env.SLUICE_ARCHIVE_SEGMENTS ?? "");
const ASKED: Sizes | null = asked === null ? null : [Number(asked[1]), Number(asked[2])];
/** The part of the small archive's time that the large one's may take more, and the requests */
const MOST_TIMES = 1.2;
const MOST_REQUESTS_MORE = 2;

/**
 * What reading an archive costs that has a hundred times as many segments, after compaction: time and store requests. And images that come
 * again, in random order.
 */
export const bench: Bench = async ({ tiny, print }) => {
  const rounds = tiny ? 1 : 7;
  const ours: Record<string, unknown> = {};
  const ratios: Record<string, number> = {};
  const onPlace = async (place: string, sizes: Sizes, open: (folder: string) => Promise<Store>): Promise<void> => {
    print(`${place}: ${sizes[0]} segments against ${sizes[1]}`);
    const stores = [];
    for (const size of sizes)
      stores.push(await open(await cachedArchive(`archive-segments-${size}`, (made) => makeManySegments(made, size))));
    try {
      const found = await compare(stores, sizes, rounds, print);
      for (const [name, { small, large }] of found) {
        ours[`${place}: ${name}`] = { small, large };
        ratios[`${place}: ${name}: seconds, small / large (at least ${(1 / MOST_TIMES).toFixed(2)})`] =
          small.seconds / large.seconds;
        ratios[`${place}: ${name}: requests, (small + ${MOST_REQUESTS_MORE}) / large (at least 1)`] =
          (small.requests + MOST_REQUESTS_MORE) / large.requests;
      }
      const repeats = await measureRepeats(stores[1]!, sizes[1], tiny ? 500 : 20_000, print);
      ours[`${place}: repeats`] = repeats;
      const goal = place === "folder" ? 10_000 : 1000;
      ratios[`${place}: repeats/s over ${goal}`] = repeats.repeatsPerSecond / goal;
      ratios[`${place}: repeats/s on a new machine over ${goal}`] = repeats.newMachinePerSecond / goal;
    } finally {
      for (const store of stores) await store.close();
    }
  };
  await onPlace("folder", tiny ? TINY : (ASKED ?? FOLDER), (folder) => openFilesystemStore(join(folder, "store")));
  const missing = await missingPrograms(["go"]);
  if (missing.length > 0) print(`*** NOT MEASURED on MinIO: it needs ${missing.join(" and ")} ***`);
  else {
    const minio = await startMinio({ report: print });
    try {
      const { accessKey, secretKey, bucket, address } = minio;
      let copies = 0;
      await onPlace("MinIO", tiny ? TINY : (ASKED ?? BUCKET), async (folder) => {
        const prefix = `copy${copies++}`;
        const store = await openBucket({ endpoint: `http://${address}`, accessKey, secretKey, bucket, prefix });
        await copyObjects(folder, store);
        return store;
      });
    } finally {
      await minio.stop();
    }
  }
  return { name: "archive", ours, peers: {}, ratios };
};

interface Compared {
  readonly small: Reading;
  readonly large: Reading;
}

/** Each reading of both archives in turn; medians. */
async function compare(
  [small, large]: readonly Store[],
  [fewer, more]: Sizes,
  rounds: number,
  print: BenchOptions["print"],
): Promise<Map<ReadingName, Compared>> {
  const runs: { small: Record<ReadingName, Reading>; large: Record<ReadingName, Reading> }[] = [];
  const inTurn = [
    async () => ({ small: await readAll(small!, fewer) }),
    async () => ({ large: await readAll(large!, more) }),
  ];
  // What is compiled and opened once is no archive's.
  for (const one of inTurn) await one();
  for (let round = 0; round < rounds; round++) {
    let both = {};
    for (const one of round % 2 === 0 ? inTurn : inTurn.toReversed()) both = { ...both, ...(await one()) };
    runs.push(both as (typeof runs)[number]);
  }
  const medianOf = (name: ReadingName, which: "small" | "large"): Reading => ({
    seconds: median(runs.map((run) => run[which][name].seconds)),
    requests: median(runs.map((run) => run[which][name].requests)),
  });
  return new Map(
    READINGS.map((name) => {
      const both = { small: medianOf(name, "small"), large: medianOf(name, "large") };
      const milliseconds = ({ seconds, requests }: Reading): string =>
        `${short(1000 * seconds)} ms, ${requests} requests`;
      print(`  ${name.padEnd(34)} ${milliseconds(both.small).padEnd(24)} ${milliseconds(both.large)}`);
      return [name, both];
    }),
  );
}

/** What lies in a folder's store, put into another. */
async function copyObjects(folder: string, to: Store): Promise<void> {
  const from = await openFilesystemStore(join(folder, "store"));
  for await (const { key } of from.list("")) await to.put(key, await readFile(await from.locate(key)));
  await from.close();
}
