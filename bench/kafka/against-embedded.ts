import { join } from "node:path";
import { interleave, type Entrant } from "../harness.js";
import { measureProcess } from "../measured-process.js";
import type { Ground, PartReport } from "./ground.js";
import { mobileNet, photographRecords, photographs } from "./photographs-on-kafka.js";
import { throughTheTeam } from "./team.js";
import { wholeSegments } from "./whole-segments.js";

const KAFKA = "Kafka and MinIO";
const EMBEDDED = "embedded log, files";

/**
 * The same photographs through MobileNetV2: a scorer and a top-K worker on Kafka and MinIO, from the first append to the last
 * segment, against `ingest` of the folder in one process.
 */
export async function againstEmbedded(ground: Ground): Promise<PartReport> {
  const count = ground.tiny ? 64 : 1200;
  const [path, folder] = [await mobileNet(), await photographs(count)];
  const records = await photographRecords(folder);
  ground.print(`embedded: ${count} JPEGs of 500 x 375, MobileNetV2, batch 16, as many workers as cores`);
  let run = 0;
  const onKafka: Entrant = {
    name: KAFKA,
    run: async () => {
      const settings = { archive: wholeSegments(count / 4), datasets: [{ name: "bench", select: { k: 100, p: 10 } }] };
      const stream = await ground.stream(`embedded-${++run}`, { settings });
      return throughTheTeam(ground, stream, records, { teacher: { path }, scorers: 1, topkWorkers: 1 });
    },
  };
  const embedded: Entrant = {
    name: EMBEDDED,
    run: async () => {
      const script = join(import.meta.dirname, "..", "entrants", "ingest.js");
      const { seconds, imagesPerSecond, runCpuSeconds } = await measureProcess(process.execPath, [
        script,
        path,
        folder,
      ]);
      return { seconds: seconds!, imagesPerSecond: imagesPerSecond!, cpuSeconds: runCpuSeconds! };
    },
  };
  const medians = await interleave([onKafka, embedded], ground.tiny ? 1 : 3, ground.print);
  const [ours, theirs] = [medians.get(KAFKA)!, medians.get(EMBEDDED)!];
  return {
    entrants: Object.fromEntries(medians),
    ratios: {
      "images/s with ONNX, Kafka and MinIO / embedded (at least 0.9)": ours.imagesPerSecond! / theirs.imagesPerSecond!,
      "images/CPU s with ONNX, scorer on Kafka / embedded": theirs.cpuSeconds! / ours.cpuSeconds!,
    },
  };
}
