// `node ours.js <teacher> <pixels file> <workers> <batch> <images> [backend]`: u8 pixels to logits through the engine; prints its
// measures as JSON. Runs of the same pixels until `images` are scored; the pixels wait decoded, so that the engine is never short of them.
import { readFile } from "node:fs/promises";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { engineSchema } from "../../schemas/config.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { treeCpuSeconds } from "./tree-cpu.js";

const [teacherPath, pixelsPath, workers, batch, images, backend = "auto"] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string?,
];
const teacher = await loadTeacher(teacherPath);
const pixels = new Uint8Array(await readFile(pixelsPath));
const count = Number(batch);
const size = pixelBytes(teacher.card.input);
const batches = pixels.length / size / count;
const engine = await openEngine(teacher, engineSchema.parse({ workers: Number(workers), batch: count, backend }));

/** As many calls at once as keep every worker busy. Returns the mean of all logits. */
async function run(runs: number): Promise<number> {
  let next = 0;
  let sum = 0;
  let values = 0;
  const lane = async (): Promise<void> => {
    while (next < runs) {
      const at = (next++ % batches) * count * size;
      const logits = await engine.score({ count, pixels: pixels.subarray(at, at + count * size) });
      // Some of every run: all entrants must have computed the same.
      for (let row = 0; row < count; row++) sum += Math.abs(logits[(row * logits.length) / count]!);
      values += count;
    }
  };
  await Promise.all(Array.from({ length: engine.parallelism }, lane));
  return sum / values;
}

await run(batches);
const cpuBefore = treeCpuSeconds();
const begin = performance.now();
const meanLogit = await run(Number(images) / count);
const seconds = (performance.now() - begin) / 1000;
const cpuSeconds = treeCpuSeconds() - cpuBefore;
const { name, version, backend: taken, device, batchInvariant } = engine.info;
console.error(`${name} ${version}, ${taken} on ${device}, batches ${batchInvariant}, ${engine.info.batch} at once`);
await engine.close();
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds,
    imagesPerSecond: Number(images) / seconds,
    imagesPerCpuSecond: Number(images) / cpuSeconds,
    meanLogit,
  }),
);
