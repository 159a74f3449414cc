import { join } from "node:path";
import { writeSmallTeacher } from "../../test/fixtures/models.js";
import { cached } from "../cache.js";
import { interleave, type BenchOptions, type Entrant, type Measures } from "../harness.js";
import { measureProcess } from "../measured-process.js";
import { makeSmallPictures } from "../small-pictures.js";
import { interval } from "../paired-interval.js";
import type { Looking } from "../observe.js";

/** How often Prometheus asks: fifteen times as often as it does by default. */
const SCRAPE_MS = 1000;
const ON = "ingest, metrics on";
const OFF = "ingest, metrics off";

/**
 * Small pictures and a small net: what is counted an image is the most beside what is done an image. With metrics on, they are
 * scraped once a second.
 */
export async function metricsCost({ tiny, print }: BenchOptions): Promise<Looking> {
  const images = tiny ? 300 : 10_000;
  const rounds = tiny ? 1 : 10;
  const teacher = await cached("small-net-1", async (folder) => {
    await writeSmallTeacher(folder, "onnx", { output: "logits" });
  });
  const pictures = await cached(`small-pictures-${images}`, (made) => makeSmallPictures(made, images));
  const script = join(import.meta.dirname, "..", "entrants", "ingest.js");
  const pairs: Record<string, Measures[]> = { [ON]: [], [OFF]: [] };
  const entrant = (name: string, more: readonly string[]): Entrant => ({
    name,
    run: async () => {
      const stop = new AbortController();
      const onLine = (line: string): void => {
        const url = /^metrics at (\S+)/.exec(line)?.[1];
        if (url !== undefined) void scrape(url, stop.signal);
      };
      const measured = await measureProcess(process.execPath, [script, teacher, pictures, "{}", ...more], {}, onLine);
      stop.abort();
      pairs[name]!.push(measured);
      return measured;
    },
  });
  print(`${images} JPEGs of 48 x 36, a small net of 10 classes; scraped every ${SCRAPE_MS} ms`);
  const medians = await interleave([entrant(ON, ["metrics"]), entrant(OFF, [])], rounds, print);
  const [on, off] = [medians.get(ON)!, medians.get(OFF)!];
  const shares = (measure: string): number[] =>
    pairs[ON]!.map((one, round) => one[measure]! / pairs[OFF]![round]![measure]!);
  const speed = interval(shares("imagesPerSecond"));
  const cpu = interval(shares("runCpuSeconds"));
  print(`images/s, on / off by pairs: ${speed.mean.toFixed(3)} ± ${speed.halfWidth.toFixed(3)}`);
  print(`processor seconds, on / off by pairs: ${cpu.mean.toFixed(3)} ± ${cpu.halfWidth.toFixed(3)}`);
  return {
    ours: { [ON]: on },
    peers: { [OFF]: off },
    ratios: {
      "images/s, metrics on / off (at least 0.98)": on.imagesPerSecond! / off.imagesPerSecond!,
      "processor seconds, metrics off / on": off.runCpuSeconds! / on.runCpuSeconds!,
    },
  };
}

/** Until the process has ended. */
async function scrape(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // The last one meets a process that has just ended.
    const [answer] = await Promise.allSettled([
      fetch(`${url}/metrics`, { signal }).then((response) => response.text()),
    ]);
    if (answer.status === "rejected") return;
    await new Promise((resolve) => setTimeout(resolve, SCRAPE_MS));
  }
}
