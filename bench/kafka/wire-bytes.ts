import { setTimeout as sleep } from "node:timers/promises";
import type { Measures } from "../harness.js";
import type { Ground, PartReport } from "./ground.js";
import { madeUpImage } from "./reading.js";
import { Team } from "./team.js";
import { wholeSegments } from "./whole-segments.js";

const K = 100;
const P = 10;
const SHARDS = 2;
const PARTS = 5;
const GOAL_BYTES = 200;
/** Images are sent no faster, so that thresholds come back while there is something to prune. */
const IMAGES_PER_SECOND = 3000;
const BURST = 500;

/**
 * Bytes that an image costs on the wire beside itself: candidates as the broker has them on its disk, and archived scores as
 * the bucket has them, with thresholds coming back from two top-K workers.
 */
export async function wireBytes(ground: Ground): Promise<PartReport> {
  const { tiny, print } = ground;
  const count = tiny ? 2000 : 60_000;
  const segmentRecords = tiny ? 100 : 1024;
  const stream = await ground.stream("bytes", {
    shards: SHARDS,
    settings: {
      archive: { ...wholeSegments(segmentRecords), segmentDelayMs: 1000 },
      checkpoint: { everySegments: 2 },
      datasets: [{ name: "bench", select: { k: K, p: P } }],
    },
  });
  print(
    `bytes: ${count} images, 1000 classes, K = ${K}, P = ${P}, segments of ${segmentRecords}, ${SHARDS} top-K workers`,
  );
  const team = await Team.start(ground, stream, {
    teacher: { name: "bytes" },
    scorers: 1,
    topkWorkers: SHARDS,
    checkpointMs: 1000,
  });
  const sending = send(ground, stream, count);
  const topic = stream.kafka.topics.candidates;
  const reached: { images: number; bytes: number }[] = [{ images: 0, bytes: 0 }];
  for (let part = 1; part <= PARTS; part++) {
    const images = (count * part) / PARTS;
    await team.archived(images);
    // All that was told by now, of all that was archived by now.
    const archived = team.scorers[0]!.said.reduce((sum, one) => sum + Number(one["images"] ?? 0), 0);
    const bytes = await ground.topicBytes(topic);
    const before = reached.at(-1)!;
    const each = (bytes - before.bytes) / (archived - before.images);
    print(`  images ${before.images} to ${archived}: ${each.toFixed(0)} bytes of candidates an image`);
    reached.push({ images: archived, bytes });
  }
  await sending;
  await team.end();
  const each = (await ground.topicBytes(topic)) / count;
  const last = (reached.at(-1)!.bytes - reached.at(-2)!.bytes) / (reached.at(-1)!.images - reached.at(-2)!.images);
  const scores = (await ground.storedBytes(stream, "scores/")) / count;
  const measures: Measures = { candidatesAnImage: each, candidatesAnImageAtTheEnd: last, scoresAnImage: scores };
  print(`  ${each.toFixed(0)} bytes of candidates an image over all, ${scores.toFixed(0)} bytes of archived scores`);
  return {
    entrants: { "a scorer and two top-K workers": measures },
    ratios: { [`${GOAL_BYTES} B / bytes of candidates an image (at least 1)`]: GOAL_BYTES / each },
  };
}

async function send(ground: Ground, stream: Parameters<Ground["append"]>[0], count: number): Promise<void> {
  const beganMs = Date.now();
  for (let at = 0; at < count; at += BURST) {
    const burst = Array.from({ length: Math.min(BURST, count - at) }, (_, i) => madeUpImage(at + i, 32));
    await ground.append(stream, burst);
    const dueMs = beganMs + ((at + BURST) * 1000) / IMAGES_PER_SECOND;
    await sleep(Math.max(0, dueMs - Date.now()));
  }
}
