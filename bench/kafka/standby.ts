import { setTimeout as sleep } from "node:timers/promises";
import { median, type Measures } from "../harness.js";
import type { Ground, PartReport } from "./ground.js";
import { Member } from "./member.js";
import { madeUpImage } from "./reading.js";
import { nowMs } from "./say.js";
import { Team } from "./team.js";

const P = 10;

/**
 * A top-K worker is lost while another stands by: how long until that one has the states, from the kill on, and from being given
 * the shard on. After kill -9 Kafka first waits for the lost member's session to end (10 s).
 */
export async function standby(ground: Ground): Promise<PartReport> {
  const { tiny, print } = ground;
  const count = tiny ? 1000 : 30_000;
  const segmentRecords = tiny ? 100 : 2048;
  const stream = await ground.stream("standby", {
    settings: {
      archive: { segmentRecords, segmentDelayMs: 500 },
      datasets: [{ name: "bench", select: { k: 1000, p: P } }],
    },
  });
  const teacher = { name: "standby" };
  const checkpointMs = 2000;
  const team = await Team.start(ground, stream, { teacher, scorers: 1, topkWorkers: 1, checkpointMs });
  for (let at = 0; at < count; at += 500) {
    await ground.append(
      stream,
      Array.from({ length: Math.min(500, count - at) }, (_, i) => madeUpImage(at + i, 32)),
    );
  }
  await team.archived(count);
  let holder = team.keepers[0]!;
  const ends = (await ground.log.ends(stream.name)).map(({ end }) => end);
  await holder.untilAll((said) =>
    ends.every((end, partition) => said.some((one) => one["partition"] === partition && one["end"] === end))
      ? true
      : undefined,
  );
  // A checkpoint is written, and committed.
  await sleep(checkpointMs + 1500);
  await Promise.all(team.scorers.map((scorer) => scorer.end()));
  print(`standby: ${count} images, K = 1000, ${count * P} candidates of 1000 classes in the state`);
  const runs: Record<"killed" | "ended", Measures[]> = { killed: [], ended: [] };
  for (let round = 0; round < (tiny ? 1 : 3); round++) {
    for (const way of ["killed", "ended"] as const) {
      const joining = new Member("kafka-topk.js", { settings: ground.settingsFor(stream), teacher, checkpointMs });
      // Kafka may give the shard to either.
      const [leaving, next] = await oneHolds([holder, joining]);
      const beganMs = nowMs();
      const gone = way === "killed" ? leaving.kill() : leaving.end();
      const restored = await next.until((said) => (said.event === "restored" && said.ms > beganMs ? said : undefined));
      await gone;
      const seconds = (restored.ms - beganMs) / 1000;
      const measures = {
        seconds,
        restoreSeconds: (restored["tookMs"] as number) / 1000,
        records: restored["records"] as number,
      };
      if (measures.records !== count)
        throw new Error(`Expected a state of ${count} images, found ${measures.records}.`);
      print(
        `  ${way}: the next one has it after ${seconds.toFixed(2)} s, of which restoring ${measures.restoreSeconds.toFixed(2)} s`,
      );
      runs[way].push(measures);
      holder = next;
    }
  }
  await holder.end();
  const medianOf = (way: "killed" | "ended"): Measures => ({
    seconds: median(runs[way].map(({ seconds }) => seconds!)),
    restoreSeconds: median(runs[way].map(({ restoreSeconds }) => restoreSeconds!)),
  });
  return {
    entrants: { "after kill -9": medianOf("killed"), "after an orderly end": medianOf("ended") },
    ratios: {},
  };
}

/** Waits until the newcomer has joined and one of the two has the shard, restored; the one that has it comes first. */
async function oneHolds([holder, joining]: readonly [Member, Member]): Promise<readonly [Member, Member]> {
  await joining.event("opened");
  // A newcomer's joining is noticed with a sign of life, once a second.
  await sleep(5000);
  for (;;) {
    for (const [one, other] of [
      [holder, joining],
      [joining, holder],
    ] as const) {
      const restored = one.said.findLast(({ event }) => event === "restored")?.ms ?? 0;
      const given = one.said.findLast(({ event }) => event === "given")?.ms ?? Infinity;
      if (one.held.size === 1 && restored > given && other.held.size === 0) return [one, other];
    }
    await sleep(200);
  }
}
