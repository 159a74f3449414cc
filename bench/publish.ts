import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { interleave, type Bench, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { imageFiles, type ImageFiles } from "./publish-from/image-files.js";

const OURS = "Sluice";
const THIRD = "Sluice, a third of the classes";
const PEER = "tar";
const TINY: ImageFiles = { classes: 3, rows: 20, imageBytes: 4096 };
const FULL: ImageFiles = { classes: 1000, rows: 1000, imageBytes: 40_960 };

/** A version of image files, its index and shards included, against `tar` writing the same bytes on this disk. */
export const bench: Bench = async ({ tiny, print }) => {
  const shape = tiny ? TINY : shapeFrom(process.env.SLUICE_PUBLISH);
  const { classes, rows, imageBytes } = shape;
  print(
    `${classes} classes of ${rows} images of ${imageBytes} bytes, ${((classes * rows * imageBytes) / 1e9).toFixed(1)} GB`,
  );
  const files = await imageFiles(shape);
  const ours = (of: number) => (): Promise<Measures> =>
    inFolder((folder) => {
      const args = [files, of, rows, imageBytes, folder].map(String);
      return measureProcess(process.execPath, [join(import.meta.dirname, "entrants", "publish.js"), ...args]);
    });
  const medians = await interleave(
    [
      { name: OURS, run: ours(classes) },
      { name: THIRD, run: ours(Math.max(1, Math.floor(classes / 3))) },
      { name: PEER, run: () => inFolder((folder) => tarred(files, folder)) },
    ],
    tiny ? 1 : 3,
    print,
  );
  const [own, third, peer] = [OURS, THIRD, PEER].map((name) => medians.get(name)!) as [Measures, Measures, Measures];
  return {
    name: "publish",
    ours: { [OURS]: own, [THIRD]: third },
    peers: { [PEER]: peer },
    ratios: {
      "seconds, tar / version (at least 0.7)": peer.seconds! / own.seconds!,
      "peak memory, a third of the classes / all (1 is flat)": third.peakAnonBytes! / own.peakAnonBytes!,
    },
  };
};

/** What a version's writer does as well: the bytes are on the disk when it ends. */
async function tarred(files: string, folder: string): Promise<Measures> {
  const beginMs = performance.now();
  const archive = join(folder, "images.tar");
  const run = promisify(execFile);
  await run("tar", ["-cf", archive, "-C", files, "images"]);
  await run("sync", [archive]);
  return { seconds: (performance.now() - beginMs) / 1000 };
}

async function inFolder(run: (folder: string) => Promise<Measures>): Promise<Measures> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-publish-"));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `100x200`: so many classes and images, for a machine that has no room for 80 GB. */
function shapeFrom(text: string | undefined): ImageFiles {
  const [, classes, rows] = /^(\d+)x(\d+)$/.exec(text ?? "") ?? [];
  return classes === undefined ? FULL : { ...FULL, classes: Number(classes), rows: Number(rows) };
}
