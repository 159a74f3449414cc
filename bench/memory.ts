import { join } from "node:path";
import { writeSmallTeacher } from "../test/fixtures/models.js";
import { cached } from "./cache.js";
import { interleave, type Bench, type Entrant } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makeSmallPictures } from "./small-pictures.js";

/** Whether memory is flat in the length of the stream: peak anonymous memory of `ingest` over n and over 3n images. */
export const bench: Bench = async ({ tiny, print }) => {
  const short = tiny ? 300 : 10_000;
  const long = 3 * short;
  const teacher = await cached("small-net-1", async (folder) => {
    await writeSmallTeacher(folder, "onnx", { output: "logits" });
  });
  const entrant = async (images: number): Promise<Entrant> => {
    const folder = await cached(`small-pictures-${images}`, (made) => makeSmallPictures(made, images));
    const script = join(import.meta.dirname, "entrants", "ingest.js");
    return {
      name: `${images} images`,
      run: () => measureProcess(process.execPath, [script, teacher, folder]),
    };
  };
  const medians = await interleave([await entrant(short), await entrant(long)], tiny ? 1 : 3, print);
  const peak = (images: number): number => medians.get(`${images} images`)!.peakAnonBytes ?? Number.NaN;
  return {
    name: "memory",
    ours: medians.get(`${long} images`)!,
    peers: { [`${short} images`]: medians.get(`${short} images`)! },
    ratios: { [`peak RssAnon, ${short} images / ${long} images (at least 0.83)`]: peak(short) / peak(long) },
  };
};
