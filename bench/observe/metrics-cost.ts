import type { BenchOptions } from "../harness.js";
import type { Looking } from "../observe.js";
import { lookedAt, type LookedPlace } from "./looked-at.js";

/** How often Prometheus asks: fifteen times as often as it does by default. */
const SCRAPE_MS = 1000;

/** An ingest with its metrics on, scraped once a second. */
export async function metricsCost({ tiny, print }: BenchOptions): Promise<Looking> {
  const images = tiny ? 300 : 10_000;
  print(`${images} JPEGs of 48 x 36, a small net of 10 classes; scraped every ${SCRAPE_MS} ms`);
  const look = async (line: string, { begin, signal }: LookedPlace): Promise<void> => {
    const url = /^metrics at (\S+)/.exec(line)?.[1];
    if (url === undefined) return;
    begin();
    await scrape(url, signal);
  };
  return lookedAt({ by: "metrics", images, rounds: tiny ? 1 : 20, least: 0.98, look }, print);
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
