import { join } from "node:path";
import { cached } from "./cache.js";
import { interleave, short, type Bench, type Entrant } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makeMobileNet } from "../test/fixtures/mobile-net.js";
import { makePhotographs } from "./photographs.js";

const SEED = 1;
const SIZE = { width: 500, height: 375 };

/**
 * What the pipeline costs beside decoding and scoring: images/s of `ingest` (folder, log, digest, archive, top-K, version)
 * against a loop that only reads, decodes and scores the same files with the same decoder and engine.
 */
export const bench: Bench = async ({ tiny, print }) => {
  const images = tiny ? 64 : 1200;
  const model = await cached(`mobile-net-${SEED}`, async (folder) => {
    await makeMobileNet(join(folder, "mobile-net.onnx"), { seed: SEED });
  });
  const photographs = await cached(`photographs-${SIZE.width}x${SIZE.height}-${images}`, (folder) =>
    makePhotographs(folder, { count: images, ...SIZE, seed: SEED }),
  );
  print(`${images} JPEGs of ${SIZE.width} x ${SIZE.height}, MobileNetV2 at 224 x 224, 1000 classes, batch 16`);
  const script = (name: string) => join(import.meta.dirname, "entrants", name);
  const args = [join(model, "mobile-net.onnx"), photographs];
  const entrant = (name: string, file: string): Entrant => ({
    name,
    run: () => measureProcess(process.execPath, [script(file), ...args]),
  });
  const medians = await interleave(
    [entrant("ingest", "ingest.js"), entrant("bare loop", "decode-and-score.js")],
    tiny ? 1 : 5,
    print,
  );
  const ours = medians.get("ingest")!;
  const bare = medians.get("bare loop")!;
  print(`ingest ${short(ours.imagesPerSecond!)} images/s, bare loop ${short(bare.imagesPerSecond!)} images/s`);
  return {
    name: "pipeline",
    ours,
    peers: { "bare loop": bare },
    ratios: { "images/s, ingest / bare loop": ours.imagesPerSecond! / bare.imagesPerSecond! },
  };
};
