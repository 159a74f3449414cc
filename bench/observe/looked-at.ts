import { join } from "node:path";
import type { Writable } from "node:stream";
import { writeSmallTeacher } from "../../test/fixtures/models.js";
import { cached } from "../cache.js";
import { interleave, type BenchOptions, type Measures } from "../harness.js";
import { measureProcess } from "../measured-process.js";
import { meanInterval as interval } from "../../operators/training/student-interval.js";
import { makeSmallPictures } from "../small-pictures.js";
import type { Looking } from "../observe.js";

export interface LookedPlace {
  readonly teacher: string;
  /** The ingest begins */
  readonly begin: () => void;
  readonly signal: AbortSignal;
}

export interface LookedAt {
  /** What it is, such as `metrics`; a word that the entrant knows */
  readonly by: "metrics" | "console";
  readonly images: number;
  readonly rounds: number;
  /** The least ratio of images/s that is promised */
  readonly least: number;
  /** Is given what the ingest writes, says when it looks on, and does until the signal aborts */
  readonly look: (line: string, place: LookedPlace) => Promise<void>;
}

/** Pairs of ingests of small pictures through a small net, somebody looking on and not: what is counted or asked is the most beside what is done an image. */
export async function lookedAt(
  { by, images, rounds, least, look }: LookedAt,
  print: BenchOptions["print"],
): Promise<Looking> {
  const teacher = await cached("small-net-1", async (folder) => {
    await writeSmallTeacher(folder, "onnx", { output: "logits" });
  });
  const pictures = await cached(`small-pictures-${images}`, (made) => makeSmallPictures(made, images));
  const script = join(import.meta.dirname, "..", "entrants", "ingest.js");
  const [on, off] = [`ingest, ${by} on`, `ingest, ${by} off`];
  const pairs: Record<string, Measures[]> = { [on]: [], [off]: [] };
  const entrant = (name: string, more: readonly string[]) => ({
    name,
    run: async (): Promise<Measures> => {
      const stop = new AbortController();
      const looking: Promise<void>[] = [];
      const onLine = (line: string, input: Writable): void => {
        const begin = (): void => void input.end();
        looking.push(look(line, { teacher, begin, signal: stop.signal }));
      };
      const args = [script, teacher, pictures, "{}", ...more];
      const measured = await measureProcess(process.execPath, args, {}, more.length > 0 ? onLine : undefined);
      stop.abort();
      await Promise.all(looking);
      pairs[name]!.push(measured);
      return measured;
    },
  });
  const medians = await interleave([entrant(on, [by]), entrant(off, [])], rounds, print);
  const shares = (measure: string): number[] =>
    pairs[on]!.map((one, round) => one[measure]! / pairs[off]![round]![measure]!);
  for (const [measure, said] of [
    ["imagesPerSecond", "images/s"],
    ["runCpuSeconds", "processor seconds"],
  ] as const) {
    const { mean, halfWidth } = interval(shares(measure));
    print(`${said}, ${by} on / off by pairs: ${mean.toFixed(3)} ± ${halfWidth.toFixed(3)}`);
  }
  const [looked, alone] = [medians.get(on)!, medians.get(off)!];
  return {
    ours: { [on]: looked },
    peers: { [off]: alone },
    ratios: {
      [`images/s, ${by} on / off (at least ${least})`]: looked["imagesPerSecond"]! / alone["imagesPerSecond"]!,
      [`processor seconds, ${by} off / on`]: alone["runCpuSeconds"]! / looked["runCpuSeconds"]!,
    },
  };
}
