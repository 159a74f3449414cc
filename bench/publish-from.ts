import { createHash } from "node:crypto";
import { open, mkdtemp, readFile, rm } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { performance } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { createGunzip } from "node:zlib";
import { openUri } from "../connectors/source/open-uri.js";
import type { ImageBuckets } from "../connectors/source/source.js";
import { openFilesystemStore } from "../connectors/store/filesystem/filesystem-store.js";
import type { Store } from "../connectors/store/store.js";
import { startMinio } from "../deploy/local/minio.js";
import { missingPrograms } from "../deploy/local/command.js";
import { imageBytes } from "../operators/image/image-bytes.js";
import { publish } from "../operators/version/publish.js";
import { openBucket, openImageBuckets } from "../pipelines/open/open-bucket.js";
import { madeCut } from "./publish-from/made-cut.js";
import { packsOf, readPacks, type Packs } from "./publish-from/packs.js";
import { cached } from "./cache.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";
import {
  filePath,
  makeWild,
  memberName,
  shardPath,
  wantedOf,
  type Shape,
  type Wanted,
} from "./publish-from/wild-shards.js";

const TINY: Shape = { shards: 4, members: 40, classes: 3, rows: 15, imageBytes: 4096 };
const FULL: Shape = { shards: 200, members: 5000, classes: 20, rows: 1000, imageBytes: 8192 };

/**
 * What a version's images cost where they lie anywhere in their sources: reading them for a version against one sequential read of what
 * holds them (of packed shards whole, else of the needed bytes, each digested), and the whole version, its files included.
 */
export const bench: Bench = async ({ tiny, print }) => {
  const shape = tiny ? TINY : (shapeFrom(process.env.SLUICE_PUBLISH_FROM) ?? FULL);
  const { shards, members, classes, rows, imageBytes: bytes } = shape;
  print(`${classes} classes of ${rows} rows from ${shards} shards of ${members} members of ${bytes} bytes`);
  const folder = await cached(`publish-from-${Object.values(shape).join("-")}`, (made) => makeWild(made, shape));
  const wanted = wantedOf(shape, true);
  const byPlace = wanted.toSorted((a, b) => a.number - b.number);
  const kinds: Record<
    string,
    { uriOf: (one: Wanted) => string; sequential: () => Promise<void>; buckets?: ImageBuckets; packs?: Packs }
  > = {
    plain: {
      uriOf: ({ shard, number, offset }) => `tar:${shardPath(folder, "tar", shard)}?at=${offset}#${memberName(number)}`,
      sequential: () => readInPlace(folder, byPlace, bytes),
    },
    gzip: {
      uriOf: ({ shard, number, offset }) =>
        `tar:${shardPath(folder, "tar.gz", shard)}?at=${offset}#${memberName(number)}`,
      sequential: () => unpackAll(folder, shards),
    },
    folder: {
      uriOf: ({ number }) => pathToFileURL(filePath(folder, number)).href,
      sequential: async () => {
        for (const { number } of byPlace) digest(await readFile(filePath(folder, number)));
      },
    },
  };
  const packs = await packsOf(shape);
  kinds.packs = {
    packs,
    uriOf: ({ number }) => `log://images/0/${number}`,
    sequential: () => readPacks(packs, byPlace),
  };
  const missing = await missingPrograms(["go"]);
  const minio = missing.length === 0 ? await startMinio({ report: print }) : null;
  try {
    if (minio === null) print(`from a bucket: NOT MEASURED, because a real MinIO needs ${missing.join(" and ")}`);
    else {
      const { accessKey, secretKey, bucket, address } = minio;
      const s3 = { endpoint: `http://${address}`, accessKey, secretKey, bucket, prefix: "wild" };
      const store = await openBucket(s3);
      await inTurns(byPlace, 16, async ({ number }) =>
        store.put(memberName(number), await readFile(filePath(folder, number))),
      );
      await store.close();
      const buckets = openImageBuckets(s3)!;
      kinds.bucket = {
        buckets,
        uriOf: ({ number }) => `s3://${bucket}/wild/${memberName(number)}`,
        sequential: () =>
          inTurns(byPlace, 16, async ({ number }) => {
            digest(await buckets.read(bucket, `wild/${memberName(number)}`, (size) => new Uint8Array(size)));
          }),
      };
    }
    const entrants = Object.entries(kinds).flatMap(([kind, { uriOf, sequential, ...from }]): Entrant[] => [
      { name: `${kind}: version`, run: () => version(shape, wanted, uriOf, from) },
      { name: `${kind}: reading for it`, run: () => reading(shape, wanted, uriOf, from) },
      { name: `${kind}: sequential read`, run: () => measured(sequential) },
    ]);
    const medians = await interleave(entrants, tiny ? 1 : 3, print);
    const of = (name: string): Measures => medians.get(name)!;
    const names = Object.keys(kinds);
    return {
      name: "publish-from",
      ours: Object.fromEntries(names.map((kind) => [kind, of(`${kind}: version`)])),
      peers: Object.fromEntries(names.map((kind) => [kind, of(`${kind}: sequential read`)])),
      ratios: Object.fromEntries(
        names.flatMap((kind) => {
          const theirs = of(`${kind}: sequential read`);
          const ours = of(`${kind}: reading for it`);
          return [
            [`${kind}: seconds, sequential read / reading (at least 0.67)`, theirs.seconds! / ours.seconds!],
            [`${kind}: CPU seconds, sequential read / reading`, theirs.cpuSeconds! / ours.cpuSeconds!],
            [`${kind}: seconds, sequential read / version`, theirs.seconds! / of(`${kind}: version`).seconds!],
          ];
        }),
      ),
    };
  } finally {
    await minio?.stop();
    await packs.store.close();
  }
};

/** Where images come from beside their uris. */
interface From {
  readonly buckets?: ImageBuckets;
  readonly packs?: Packs;
}

/** `20x2000`: a smaller shape for a machine that has little time. */
function shapeFrom(text: string | undefined): Shape | null {
  const [, shards, members] = /^(\d+)x(\d+)$/.exec(text ?? "") ?? [];
  if (shards === undefined) return null;
  const rows = Math.max(1, Math.floor((Number(shards) * Number(members)) / 80));
  return { ...FULL, shards: Number(shards), members: Number(members), classes: 4, rows };
}

/** A version's images, read and written. */
async function version(
  shape: Shape,
  wanted: readonly Wanted[],
  uriOf: (one: Wanted) => string,
  { buckets, packs }: From,
): Promise<Measures> {
  const records = shape.shards * shape.members;
  const cut = madeCut({ ...shape, records }, wanted, uriOf, packs);
  return inNewStore(async (store) => {
    const { manifest } = await publish(cut, {
      store,
      read: imageBytes({ store: packs?.store ?? store, opener: openUri({ buckets }) }).read,
      sheets: null,
      automatic: false,
      onConflict: "refuse",
      now: () => new Date(0),
      codeVersion: "bench",
      attempt: "bench",
      commitId: "bench",
    });
    return manifest.totals.bytesAbsent;
  });
}

/** What a publication reads, asked for in rank order, with its digests checked, and nothing done with it. */
async function reading(
  { imageBytes: sizeBytes }: Shape,
  wanted: readonly Wanted[],
  uriOf: (one: Wanted) => string,
  { buckets, packs }: From,
): Promise<Measures> {
  const needed = wanted.map((one) => ({
    digest: Buffer.from(one.digest).toString("hex"),
    uri: uriOf(one),
    sizeBytes,
    pack: packs?.of(one) ?? null,
  }));
  return inNewStore(async (store) => {
    let absent = needed.length;
    for await (const { bytes } of imageBytes({ store: packs?.store ?? store, opener: openUri({ buckets }) }).read(
      needed,
    )) {
      if (bytes !== null) absent--;
    }
    return absent;
  });
}

/** `run` returns how many images it did not get. */
async function inNewStore(run: (store: Store) => Promise<number>): Promise<Measures> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-publish-from-"));
  const store = await openFilesystemStore(folder);
  try {
    return await measured(async () => {
      const absent = await run(store);
      if (absent > 0) throw new Error(`${absent} images are absent`);
    });
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function readInPlace(folder: string, byPlace: readonly Wanted[], sizeBytes: number): Promise<void> {
  for (let from = 0; from < byPlace.length;) {
    const { shard } = byPlace[from]!;
    const handle = await open(shardPath(folder, "tar", shard), "r");
    for (; byPlace[from]?.shard === shard; from++) {
      const { buffer } = await handle.read(Buffer.allocUnsafe(sizeBytes), 0, sizeBytes, byPlace[from]!.offset);
      digest(buffer);
    }
    await handle.close();
  }
}

async function unpackAll(folder: string, shards: number): Promise<void> {
  for (let shard = 0; shard < shards; shard++) {
    const unpacked = createReadStream(shardPath(folder, "tar.gz", shard)).pipe(createGunzip());
    await finished(unpacked.resume());
  }
}

async function inTurns<T>(items: readonly T[], together: number, run: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) await run(items[next++]!);
  };
  await Promise.all(Array.from({ length: together }, worker));
}

function digest(bytes: Uint8Array): void {
  createHash("sha256").update(bytes).digest();
}

async function measured(run: () => Promise<unknown>): Promise<Measures> {
  const cpuBefore = process.cpuUsage();
  const beginMs = performance.now();
  await run();
  const seconds = (performance.now() - beginMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}
