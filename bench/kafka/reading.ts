import { randomBytes } from "node:crypto";
import { encodeImageRecord, type LogRecord } from "../../schemas/image-record.js";
import { interleave, type Entrant, type Measures } from "../harness.js";
import { archivedAt } from "./archived-at.js";
import { wholeSegments } from "./whole-segments.js";
import type { Ground, PartReport, Stream } from "./ground.js";
import { Member } from "./member.js";
import type { Said } from "./say.js";

const IMAGE_BYTES = 50_000;
/** What openKafkaLog fetches of a partition at a time by default */
const FETCH_BYTES = 2 * 1024 * 1024;
const SCORER = "scorer, engine that does nothing";
const KEEPING = "the same, keeping all bytes";
const BARE = "bare eachBatch";

/**
 * 50 KB images inside their messages: what a scorer whose decoder and engine do nothing reads (fetch, digest, dedupe, archive,
 * candidates, commit), against kafkajs's eachBatch that counts bytes. From the first record to the last segment.
 */
export async function reading(ground: Ground): Promise<PartReport> {
  const { tiny, print } = ground;
  // So many segments of each partition, whole ones: none waits for images that do not come.
  const segmentRecords = tiny ? 50 : 2048;
  const count = 2 * 2 * segmentRecords;
  const stream = await ground.stream("reading", { settings: { archive: wholeSegments(segmentRecords) } });
  for (let at = 0; at < count; at += 200) {
    await ground.append(
      stream,
      Array.from({ length: Math.min(200, count - at) }, (_, i) => madeUpImage(at + i, IMAGE_BYTES)),
    );
  }
  print(`reading: ${count} images of ${IMAGE_BYTES} bytes, ${stream.config.partitions} partitions`);
  let run = 0;
  const scorer = (name: string, until: number, settings: object): Entrant => ({
    name,
    run: () => scoreOnce(ground, stream, until, `reading-${++run}`, settings),
  });
  const bare: Entrant = { name: BARE, run: () => readBare(ground, stream, count) };
  const medians = await interleave([scorer(SCORER, count, {}), bare], tiny ? 1 : 5, print);
  // It is bound by the store: once is enough.
  const keeping = await interleave([scorer(KEEPING, Math.ceil(count / 8), { bytes: "keep" })], 1, print);
  const [ours, theirs] = [medians.get(SCORER)!, medians.get(BARE)!];
  return {
    entrants: Object.fromEntries([...medians, ...keeping]),
    ratios: {
      "images/s read, scorer / bare eachBatch (at least 0.7)": ours.imagesPerSecond! / theirs.imagesPerSecond!,
      "images/CPU s of the client, scorer / bare eachBatch":
        theirs.cpuSeconds! / theirs.images! / (ours.cpuSeconds! / ours.images!),
      "images/s read, keeping all bytes / bare eachBatch":
        keeping.get(KEEPING)!.imagesPerSecond! / theirs.imagesPerSecond!,
    },
  };
}

/** Random bytes under a uri of their own, in a bucket that is allowed, so that `bytes: refer` leaves them where they are. */
export function madeUpImage(number: number, sizeBytes: number): LogRecord {
  return encodeImageRecord({
    uri: `s3://images-example/${number}.jpg`,
    bytes: randomBytes(sizeBytes),
    eventTimeMs: 1_760_000_000_000 + number,
    licence: null,
    origin: null,
    retryOf: null,
  });
}

/**
 * One scorer with a teacher of its own, from its first image until so many are archived, told and committed. `engineMs`: what an
 * image costs the engine.
 */
export async function scoreOnce(
  ground: Ground,
  stream: Stream,
  until: number,
  name: string,
  more: object,
  engineMs = 0,
): Promise<Measures> {
  const serversBefore = ground.serverCpuSeconds;
  const settings = ground.settingsFor(stream, { sources: { allow: { buckets: ["images-example"] } }, ...more });
  const member = new Member("kafka-score.js", { settings, teacher: { name }, engineMs });
  const last = await member.untilAll((said) => archivedAt(said, until));
  const measures = between(await member.event("first"), last.said, last.images);
  const serverCpuSeconds = ground.serverCpuSeconds - serversBefore;
  await member.end();
  return { ...measures, serverCpuSeconds };
}

async function readBare(ground: Ground, { name, config }: Stream, count: number): Promise<Measures> {
  const serversBefore = ground.serverCpuSeconds;
  const member = new Member("kafka-bare.js", {
    brokers: ground.kafka.address,
    topic: name,
    partitions: config.partitions,
    count,
    fetchBytes: FETCH_BYTES,
  });
  const measures = between(await member.event("first"), await member.event("done"), count);
  const serverCpuSeconds = ground.serverCpuSeconds - serversBefore;
  await member.end();
  return { ...measures, serverCpuSeconds };
}

function between(first: Said, last: Said, images: number): Measures {
  const seconds = (last.ms - first.ms) / 1000;
  return { seconds, images, imagesPerSecond: images / seconds, cpuSeconds: last.cpuSeconds - first.cpuSeconds };
}
