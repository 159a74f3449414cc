import { join } from "node:path";
import { BACKENDS } from "../connectors/engine/backends.js";
import { hasGpuDevice } from "../connectors/native-tfjs.js";
import { cached } from "./cache.js";
import { withUtilisation } from "./gpu/utilisation.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makeMobileNet } from "../test/fixtures/mobile-net.js";
import { makePhotographs } from "./photographs.js";
import { pixelsFile } from "./score/pixels-file.js";

const SEED = 1;
const SIZE = { width: 500, height: 375 };
const BATCH = 64;
const CEILING = "engine alone";
const INGEST = "ingest";

/**
 * What a GPU gets of its own: images/s of `ingest` over the engine's images/s with decoded pixels waiting, on every GPU backend of
 * onnxruntime that is here, and how busy the device was. Says so where there is none.
 */
export const bench: Bench = async ({ tiny, print }) => {
  const ours: Record<string, Measures> = {};
  const ratios: Record<string, number> = {};
  const backends = BACKENDS.filter(({ kind, device }) => kind === "onnx" && device === "gpu");
  const absences = backends.map((backend) => ({
    name: backend.name,
    because: hasGpuDevice() ? backend.absence() : "no GPU is here",
  }));
  for (const { name, because } of absences) {
    if (because !== null) print(`skipped: ${name}, because ${because}`);
  }
  const present = absences.filter(({ because }) => because === null).map(({ name }) => name);
  if (present.length === 0) {
    print(
      "  it would compare images/s of ingest with those of the engine given decoded pixels, and print how busy the GPU was",
    );
    return { name: "gpu", ours, peers: {}, ratios };
  }
  const images = tiny ? 64 : 8192;
  const model = await cached(`mobile-net-${SEED}`, async (folder) => {
    await makeMobileNet(join(folder, "mobile-net.onnx"), { seed: SEED });
  });
  const photographs = await cached(`photographs-${SIZE.width}x${SIZE.height}-${images}`, (folder) =>
    makePhotographs(folder, { count: images, ...SIZE, seed: SEED }),
  );
  const pixels = await pixelsFile(BATCH);
  const file = join(model, "mobile-net.onnx");
  const script = (name: string) => join(import.meta.dirname, name);
  for (const backend of present) {
    print(`${images} JPEGs of ${SIZE.width} x ${SIZE.height}, MobileNetV2 at 224 x 224, ${backend}, batch ${BATCH}`);
    const entrant = (name: string, args: readonly string[]): Entrant => ({
      name,
      run: async () => {
        const { result, utilisation } = await withUtilisation(() => measureProcess(process.execPath, args));
        return { ...result, utilisation };
      },
    });
    const medians = await interleave(
      [
        entrant(CEILING, [script("score/ours.js"), file, pixels, "1", String(BATCH), String(images), backend]),
        entrant(INGEST, [
          script("entrants/ingest.js"),
          file,
          photographs,
          JSON.stringify({ backend, batch: BATCH, workers: 1 }),
        ]),
      ],
      tiny ? 1 : 3,
      print,
    );
    for (const [name, measures] of medians) ours[`${name}, ${backend}`] = measures;
    ratios[`${backend}: images/s of ingest over the engine alone (at least 0.9)`] =
      medians.get(INGEST)!.imagesPerSecond! / medians.get(CEILING)!.imagesPerSecond!;
  }
  return { name: "gpu", ours, peers: {}, ratios };
};
