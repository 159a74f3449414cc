import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { cached, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { imageFiles, type ImageFiles } from "./publish-from/image-files.js";
import { pythonWith } from "./python-peers.js";

const OURS = "sluice_loader";
/** Without comparing each image with its SHA-256 */
const UNCHECKED = "unchecked";
const PEER = "webdataset";
const TINY: ImageFiles = { classes: 3, rows: 20, imageBytes: 4096 };
const FULL: ImageFiles = { classes: 50, rows: 200, imageBytes: 40_960 };

/** Samples/s of python/sluice_loader, in one seeded order over all of a version, against `webdataset` on the same shards. */
export const bench: Bench = async ({ tiny, print }) => {
  const shape = tiny ? TINY : FULL;
  const { classes, rows, imageBytes } = shape;
  print(`${classes * rows} samples of ${imageBytes} bytes, one process`);
  const folder = await version(shape);
  const python = await pythonWith(["webdataset==1.0.2"], print);
  const root = repositoryFolder();
  const reader = (who: string, program: string): Entrant => ({
    name: who,
    run: async () => {
      const args = [
        join(root, "bench/feed/read.py"),
        who,
        join(root, "python/sluice_loader"),
        folder,
        tiny ? "1" : "3",
      ];
      const measures = await measureProcess(program, args);
      if (measures.images !== classes * rows)
        throw new Error(`${who} gave ${measures.images} of ${classes * rows} images`);
      return measures;
    },
  });
  const entrants = [OURS, UNCHECKED].map((who) => reader(who, python ?? "python3"));
  if (python !== null) entrants.push(reader(PEER, python));
  const medians = await interleave(entrants, tiny ? 1 : 5, print);
  const of = (name: string): Measures => medians.get(name)!;
  return {
    name: "feed",
    ours: { [OURS]: of(OURS), [UNCHECKED]: of(UNCHECKED) },
    peers: python === null ? {} : { [PEER]: of(PEER) },
    ratios:
      python === null
        ? {}
        : {
            "samples/s, sluice_loader / webdataset (at least 1)":
              of(OURS).samplesPerSecond! / of(PEER).samplesPerSecond!,
            "samples/s, without comparing digests / webdataset":
              of(UNCHECKED).samplesPerSecond! / of(PEER).samplesPerSecond!,
          },
  };
};

/** The folder of a version of made images, published once into the cache. */
async function version(shape: ImageFiles): Promise<string> {
  const files = await imageFiles(shape);
  const { classes, rows, imageBytes } = shape;
  const place = await cached(`feed-${classes}-${rows}-${imageBytes}`, async (folder) => {
    const args = [files, classes, rows, imageBytes, folder].map(String);
    await promisify(execFile)(process.execPath, [join(import.meta.dirname, "entrants", "publish.js"), ...args]);
  });
  return join(place, "versions", "wild", "data", "bench");
}
