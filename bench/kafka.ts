import type { Bench, Measures } from "./harness.js";
import { Ground, type PartReport } from "./kafka/ground.js";
import { againstEmbedded } from "./kafka/against-embedded.js";
import { latency } from "./kafka/latency.js";
import { reading } from "./kafka/reading.js";
import { standby } from "./kafka/standby.js";
import { twoScorers } from "./kafka/two-scorers.js";
import { wireBytes } from "./kafka/wire-bytes.js";

type Part = (ground: Ground) => Promise<PartReport>;

const PARTS: Readonly<Record<string, Part>> = {
  reading,
  bytes: wireBytes,
  embedded: againstEmbedded,
  latency,
  scorers: twoScorers,
  standby,
};

/**
 * Sluice's processes on a real Kafka and a real MinIO on this machine, which take their share of its cores. Some parts alone, to
 * look closer: SLUICE_BENCH_PARTS=reading,latency.
 */
export const bench: Bench = async (options) => {
  const asked = process.env["SLUICE_BENCH_PARTS"]?.split(",") ?? Object.keys(PARTS);
  const ours: Record<string, Readonly<Record<string, Measures>>> = {};
  const ratios: Record<string, number> = {};
  const ground = await Ground.open(options);
  try {
    for (const name of ground === null ? [] : asked) {
      const part = PARTS[name];
      if (part === undefined) throw new Error(`Expected one of ${Object.keys(PARTS).join(", ")}, found ${name}.`);
      const report = await part(ground!);
      ours[name] = report.entrants;
      Object.assign(ratios, report.ratios);
    }
  } finally {
    await ground?.close();
  }
  return { name: "kafka", ours, peers: {}, ratios };
};
