import { interleave, type Entrant } from "../harness.js";
import type { Ground, PartReport } from "./ground.js";
import { mobileNet, photographRecords, photographs } from "./photographs-on-kafka.js";
import { throughTheTeam } from "./team.js";
import { wholeSegments } from "./whole-segments.js";

/**
 * Two scorers against one, each with one single-threaded engine worker, decoding one image at a time. Broker and object store
 * use the same cores.
 */
export async function twoScorers(ground: Ground): Promise<PartReport> {
  const count = ground.tiny ? 64 : 1200;
  const path = await mobileNet();
  const records = (await photographRecords(await photographs(count))).slice(0, count / 2);
  ground.print(`scorers: ${records.length} JPEGs of 500 x 375, MobileNetV2, one worker of one thread a scorer`);
  const scorerSettings = { engine: { workers: 1, threads: 1 }, decode: { concurrency: 1 } };
  let run = 0;
  const entrant = (scorers: number): Entrant => ({
    name: `${scorers} scorer${scorers === 1 ? "" : "s"}`,
    run: async () => {
      const stream = await ground.stream(`scorers-${++run}`, {
        settings: { archive: wholeSegments(records.length / 4) },
      });
      const team = { teacher: { path }, scorers, topkWorkers: 1, scorerSettings };
      return throughTheTeam(ground, stream, records, team);
    },
  });
  const medians = await interleave([entrant(1), entrant(2)], ground.tiny ? 1 : 3, ground.print);
  const [one, two] = [medians.get("1 scorer")!, medians.get("2 scorers")!];
  return {
    entrants: Object.fromEntries(medians),
    ratios: {
      "images/s, two scorers / one (expected 1.8 on two idle cores)": two.imagesPerSecond! / one.imagesPerSecond!,
      "images/CPU s, two scorers / one": one.cpuSeconds! / two.cpuSeconds!,
    },
  };
}
