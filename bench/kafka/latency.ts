import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../harness.js";
import type { Ground, PartReport } from "./ground.js";
import { mobileNet, photographRecords, photographs } from "./photographs-on-kafka.js";
import { nowMs } from "./say.js";
import { Team } from "./team.js";

/** The first image after a pause of this long is archived after `archive.pauseDelayMs`; the default is 5 s. */
const SEGMENT_DELAY_MS = 1000;
const GOAL_MS = 250;

/**
 * One image at a time, sent to an idle topic: from the moment the append begins until the top-K worker has taken its segment
 * into the states. Producer, scorer (MobileNetV2) and worker are three processes.
 */
export async function latency(ground: Ground): Promise<PartReport> {
  const samples = ground.tiny ? 3 : 24;
  const [path, folder] = [await mobileNet(), await photographs(ground.tiny ? 64 : 1200)];
  const records = (await photographRecords(folder)).slice(0, samples + 1);
  const stream = await ground.stream("latency", { settings: { archive: { segmentDelayMs: SEGMENT_DELAY_MS } } });
  const { partitions } = stream.config;
  const team = await Team.start(ground, stream, { teacher: { path }, scorers: 1, topkWorkers: 1 });
  const tookMs: number[] = [];
  const archivedMs: number[] = [];
  for (const [at, record] of records.entries()) {
    await sleep(SEGMENT_DELAY_MS * 1.3);
    const partition = at % partitions;
    const beganMs = nowMs();
    const offset = await ground.log.append(stream.name, partition, [record]);
    const [scorer, keeper] = [team.scorers[0]!, team.keepers[0]!];
    const taken = await keeper.until((said) =>
      said.event === "taken" && said["partition"] === partition && said["end"] === offset + 1 ? said : undefined,
    );
    const archived = await scorer.until((said) =>
      said.event === "segment" && said["partition"] === partition && said["end"] === offset + 1 ? said : undefined,
    );
    // The first one finds code that has never run.
    if (at === 0) continue;
    tookMs.push(taken.ms - beganMs);
    archivedMs.push(archived.ms - beganMs);
  }
  await team.end();
  const sorted = tookMs.toSorted((a, b) => a - b);
  const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1]!;
  const measures = { medianMs: median(tookMs), p95Ms: p95, leastMs: sorted[0]!, committedMs: median(archivedMs) };
  ground.print(
    `latency: ${samples} single images to an idle topic, segmentDelayMs ${SEGMENT_DELAY_MS}: in the top-K state after ` +
      `${measures.medianMs.toFixed(0)} ms (median), ${p95.toFixed(0)} ms (95 %), ${sorted[0]!.toFixed(0)} ms (least)`,
  );
  return {
    entrants: { "append to top-K state": measures },
    ratios: { [`${GOAL_MS} ms / median from append to top-K state (at least 1)`]: GOAL_MS / measures.medianMs },
  };
}
