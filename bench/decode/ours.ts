// `node ours.js <folder> <full|shrunk> <images> <lanes> [pixels file]`: decodes the JPEGs of a folder, held in memory, to 224 x 224;
// prints its measures as JSON. With a file it writes the pixels of each of them once, in the order of their names.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode } from "../../operators/image/decode-plan.js";

const [folder, way, images, lanes, output] = process.argv.slice(2) as [string, string, string, string, string?];
const card = {
  input: { width: 224, height: 224, layout: "NCHW", colour: "rgb" },
  resize: { kernel: "linear", mode: "crop", shortSide: 256, shrinkOnLoad: way === "shrunk" },
} as const;
const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".jpg")).sort();
const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
const decoder = openSharpDecoder({ concurrency: Number(lanes) });

async function decode(bytes: Uint8Array): Promise<Uint8Array> {
  const header = await decoder.header(bytes);
  return (await decoder.decode(bytes, header, planDecode(header, card))).pixels;
}

async function run(count: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await decode(files[next++ % files.length]!);
  };
  await Promise.all(Array.from({ length: Number(lanes) }, lane));
}

if (output !== undefined) {
  const pixels: Uint8Array[] = [];
  for (const bytes of files) pixels.push(await decode(bytes));
  await writeFile(output, Buffer.concat(pixels));
}
await run(Math.min(files.length, Number(images)));
const cpuBefore = process.cpuUsage();
const begin = performance.now();
await run(Number(images));
const seconds = (performance.now() - begin) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds,
    imagesPerSecond: Number(images) / seconds,
    imagesPerCpuSecond: Number(images) / cpuSeconds,
  }),
);
