import { randomBytes } from "node:crypto";
import { Client } from "minio";
import { openStore } from "../pipelines/open/workspace.js";
import { Ground, type Stream } from "./kafka/ground.js";
import { madeUpImage, scoreOnce } from "./kafka/reading.js";
import { wholeSegments } from "./kafka/whole-segments.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";

const IMAGE_BYTES = 50_000;
/** What an image costs the engine: 10,000 images/s */
const ENGINE_MS = 0.1;
const PARTITIONS = 2;
/** Of the plain client, as the product's */
const PART_BYTES = 16 * 1024 * 1024;
const PARTS_AT_ONCE = 2;
const KEEPING = "scorer that keeps all bytes";
const PLAIN = "plain client, in parts";

/**
 * Images of 50 KB inside their messages, all of them kept: a scorer from Kafka to MinIO, with an engine that costs a fixed time an
 * image, against a client that does nothing but write as many bytes to the same MinIO in parts, an object a segment.
 */
export const bench: Bench = async ({ tiny, print }) => {
  const name = "bytes";
  const ground = await Ground.open({ tiny, print });
  if (ground === null) return { name, ours: {}, peers: {}, ratios: {} };
  try {
    const segmentRecords = tiny ? 50 : 1024;
    const segments = PARTITIONS * (tiny ? 2 : 3);
    const count = segments * segmentRecords;
    const settings = { archive: wholeSegments(segmentRecords) };
    const stream = await ground.stream("kept", { partitions: PARTITIONS, settings });
    for (let at = 0; at < count; at += 200) {
      const images = Array.from({ length: Math.min(200, count - at) }, (_, i) => madeUpImage(at + i, IMAGE_BYTES));
      await ground.append(stream, images);
    }
    print(`${count} images of ${IMAGE_BYTES} bytes, ${segments} segments`);
    let run = 0;
    const ours: Entrant = {
      name: KEEPING,
      run: async () => {
        const more = { bytes: "keep", retainBytes: "all" };
        return withRate(await scoreOnce(ground, stream, count, `kept-${++run}`, more, ENGINE_MS));
      },
    };
    const plain: Entrant = { name: PLAIN, run: () => writeInParts(ground, segments, segmentRecords * IMAGE_BYTES) };
    const medians = await interleave([ours, plain], tiny ? 1 : 3, print);
    const { packs, archived } = await objectsOf(stream);
    print(`${packs} packs of ${archived} segments`);
    const [kept, written] = [medians.get(KEEPING)!, medians.get(PLAIN)!];
    return {
      name,
      ours: { [KEEPING]: { ...kept, packsPerSegment: packs / archived } },
      peers: { [PLAIN]: written },
      ratios: {
        "MB/s, kept / plain client (at least 0.7)": kept.megabytesPerSecond! / written.megabytesPerSecond!,
        "segments / packs (at least 1)": archived / packs,
      },
    };
  } finally {
    await ground.close();
  }
};

function withRate(measures: Measures): Measures {
  return { ...measures, megabytesPerSecond: (measures.imagesPerSecond! * IMAGE_BYTES) / 1e6 };
}

let written = 0;

/** So many objects of so many bytes, two parts at a time. */
async function writeInParts(ground: Ground, objects: number, sizeBytes: number): Promise<Measures> {
  const { port, accessKey, secretKey, bucket } = ground.minio;
  const client = new Client({ endPoint: "127.0.0.1", port, useSSL: false, accessKey, secretKey });
  const bytes = randomBytes(sizeBytes);
  const parts: Buffer[] = [];
  for (let at = 0; at < sizeBytes; at += PART_BYTES) parts.push(bytes.subarray(at, at + PART_BYTES));
  const beganMs = performance.now();
  const before = process.cpuUsage();
  for (let object = 0; object < objects; object++) {
    const objectName = `plain/${written++}`;
    if (parts.length === 1) {
      await client.putObject(bucket, objectName, bytes, sizeBytes);
      continue;
    }
    const uploadID = await client.initiateNewMultipartUpload(bucket, objectName, {});
    const etags: { part: number; etag: string }[] = [];
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < parts.length) {
        const part = ++next;
        const { etag } = await client.uploadPart(
          { bucketName: bucket, objectName, uploadID, partNumber: part, headers: {} },
          parts[part - 1],
        );
        etags.push({ part, etag });
      }
    };
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, writer));
    await client.completeMultipartUpload(
      bucket,
      objectName,
      uploadID,
      etags.sort((a, b) => a.part - b.part),
    );
  }
  const seconds = (performance.now() - beganMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, megabytesPerSecond: (objects * sizeBytes) / 1e6 / seconds, cpuSeconds: (user + system) / 1e6 };
}

/** Of all runs of the scorer together. */
async function objectsOf({ config }: Stream): Promise<{ readonly packs: number; readonly archived: number }> {
  const store = await openStore(config);
  const count = async (folder: string, ending: string): Promise<number> => {
    let objects = 0;
    for await (const { key } of store.list(folder)) objects += key.endsWith(ending) ? 1 : 0;
    return objects;
  };
  const [packs, archived] = [await count("packs/", ".pack"), await count("scores/", ".arrow")];
  await store.close();
  return { packs, archived };
}
