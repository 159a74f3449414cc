import { missingPrograms } from "../../deploy/local/command.js";
import { interleave, type Entrant } from "../harness.js";
import { allowedCores } from "./allowed-cores.js";
import type { Ground, PartReport } from "./ground.js";
import { mobileNet, photographRecords, photographs } from "./photographs-on-kafka.js";
import { throughTheTeam } from "./team.js";
import { wholeSegments } from "./whole-segments.js";

/**
 * Two scorers against one, each with one single-threaded engine worker, decoding one image at a time: as they come, where decoding
 * and ranking go on beside the engine's thread, and each held to one core. Broker and object store use the same cores.
 */
export async function twoScorers(ground: Ground): Promise<PartReport> {
  const count = ground.tiny ? 64 : 1200;
  const path = await mobileNet();
  const records = (await photographRecords(await photographs(count))).slice(0, count / 2);
  const canHold = allowedCores().length >= 2 && (await missingPrograms(["taskset"])).length === 0;
  ground.print(
    `scorers: ${records.length} JPEGs of 500 x 375, MobileNetV2, one worker of one thread a scorer` +
      (canHold ? "" : "; not held to a core each, for want of two cores or of taskset"),
  );
  const scorerSettings = { engine: { workers: 1, threads: 1 }, decode: { concurrency: 1 } };
  let run = 0;
  const entrant = (scorers: number, oneCoreEach: boolean): Entrant => ({
    name: nameOf(scorers, oneCoreEach),
    run: async () => {
      const settings = { archive: wholeSegments(records.length / 4) };
      const stream = await ground.stream(`scorers-${++run}`, { settings });
      const team = { teacher: { path }, scorers, topkWorkers: 1, scorerSettings, oneCoreEach };
      return throughTheTeam(ground, stream, records, team);
    },
  });
  const ways = canHold ? [false, true] : [false];
  const entrants = ways.flatMap((held) => [entrant(1, held), entrant(2, held)]);
  const medians = await interleave(entrants, ground.tiny ? 1 : 3, ground.print);
  const ratios: Record<string, number> = {};
  for (const held of ways) {
    const [one, two] = [medians.get(nameOf(1, held))!, medians.get(nameOf(2, held))!];
    const goal = held ? ", a core each (expected 1.8 on two idle cores)" : "";
    ratios[`images/s, two scorers / one${goal}`] = two.imagesPerSecond! / one.imagesPerSecond!;
    if (!held) ratios["images/CPU s, two scorers / one"] = one.cpuSeconds! / two.cpuSeconds!;
  }
  return { entrants: Object.fromEntries(medians), ratios };
}

function nameOf(scorers: number, oneCoreEach: boolean): string {
  return `${scorers === 1 ? "1 scorer" : `${scorers} scorers`}${oneCoreEach ? ", a core each" : ""}`;
}
