import { readdirSync } from "node:fs";
import { join } from "node:path";
import { interleave, type Bench, type Entrant } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { segmentsArchive } from "./rebuild/compacted.js";

const K = 1000;

/** How long a version from the archive alone takes, from the frontier to the id, and its share of merely reading the files. */
export const bench: Bench = async ({ tiny, print }) => {
  const images = tiny ? 20_000 : 10_000_000;
  const folder = await segmentsArchive(images);
  const entrants = join(import.meta.dirname, "entrants");
  const rebuild: Entrant = {
    name: "rebuild",
    run: () => measureProcess(process.execPath, [join(entrants, "rebuild.js"), folder, String(K)]),
  };
  const read: Entrant = {
    name: "reading the files",
    run: () => measureProcess(process.execPath, [join(entrants, "read-files.js"), join(folder, "store", "scores")]),
  };
  print(`${images} images, top 32 of 1000 classes, K = ${K}, P = 10; ${segmentsIn(folder)} segments`);
  const medians = await interleave([rebuild, read], tiny ? 1 : 3, print);
  const ours = medians.get("rebuild")!;
  const raw = medians.get("reading the files")!;
  return {
    name: "rebuild",
    ours,
    peers: { "reading the files": raw },
    ratios: {
      "share of the raw read speed: reading the files / state of the cut": raw.seconds! / ours.stateSeconds!,
      "60 s / rebuild (at least 1 for ten million images)": 60 / ours.seconds!,
    },
  };
};

function segmentsIn(folder: string): number {
  const names = readdirSync(join(folder, "store", "scores"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".arrow")).length;
}
