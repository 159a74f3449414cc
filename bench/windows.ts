import { join } from "node:path";
import { cachedArchive } from "./cache.js";
import { interleave, type Bench, type Entrant } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makeArchive } from "./rebuild/archive.js";

const DAY_MS = 24 * 3600 * 1000;
/** What a version may cost beside its rows */
const VERSION_SECONDS = 0.05;

/** A year's archive published as daily versions that are due together, against the same archive published as one version. */
export const bench: Bench = async ({ tiny, print }) => {
  const [images, days] = tiny ? [400, 2] : [1_000_000, 365];
  const everyMs = Math.floor((days * DAY_MS) / (images / 2));
  const folder = await cachedArchive(`windows-archive-${images}`, (made) =>
    makeArchive(made, images, { everyMs, isAbsent: true }),
  );
  const script = join(import.meta.dirname, "entrants", "windows.js");
  const entrant = (name: string, window: string): Entrant => ({
    name,
    run: () => measureProcess(process.execPath, [script, folder, window]),
  });
  print(`${images} images over ${days} days, without bytes`);
  const medians = await interleave([entrant("days", "days"), entrant("one version", "global")], tiny ? 1 : 3, print);
  const ours = medians.get("days")!;
  const whole = medians.get("one version")!;
  const allowed = 3 * whole.seconds! + VERSION_SECONDS * ours.versions!;
  return {
    name: "windows",
    ours,
    peers: { "one version": whole },
    ratios: { "3 times one version and 50 ms a version / all days (at least 1)": allowed / ours.seconds! },
  };
};
