// `node decode-and-score.js <teacher> <folder of images>`: reads, decodes and scores, and keeps nothing; prints its
// measures as JSON. Several lanes, each decoding a batch while others are in the engine: the plain loop one would write.
import { readdir, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { planDecode } from "../../operators/image/decode-plan.js";
import { configSchema } from "../../schemas/config.js";
import { pixelBytes } from "../../schemas/pixels.js";

const [teacherPath, images] = process.argv.slice(2) as [string, string];
const config = configSchema.parse({});
const teacher = await loadTeacher(teacherPath);
const { card } = teacher;
const engine = await openEngine(teacher, config.engine);
const decoder = openSharpDecoder();
const size = pixelBytes(card.input);
const files = (await readdir(images, { recursive: true })).filter((name) => name.endsWith(".jpg"));
const started = performance.now();
let next = 0;
let scored = 0;
const lane = async (): Promise<void> => {
  while (next < files.length) {
    const batch = files.slice(next, (next += engine.info.batch));
    const pixels = new Uint8Array(batch.length * size);
    await Promise.all(
      batch.map(async (name, index) => {
        const bytes = await readFile(join(images, name));
        const header = await decoder.header(bytes);
        pixels.set((await decoder.decode(bytes, header, planDecode(header, card))).pixels, index * size);
      }),
    );
    await engine.score({ count: batch.length, pixels });
    scored += batch.length;
  }
};
await Promise.all(Array.from({ length: availableParallelism() + 1 }, lane));
const seconds = (performance.now() - started) / 1000;
await engine.close();
const cpu = process.cpuUsage();
console.log(JSON.stringify({ seconds, imagesPerSecond: scored / seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6 }));
