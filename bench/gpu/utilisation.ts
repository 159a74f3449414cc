import { spawn } from "node:child_process";

const SAMPLE_MS = 500;

/**
 * Runs `work` while nvidia-smi samples the first GPU; returns its result and the mean utilisation, 0 to 1, of the samples in
 * which the device was busy at all: loading a model does not count. NaN where nvidia-smi cannot be run.
 */
export async function withUtilisation<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; utilisation: number }> {
  const query = ["--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", `--loop-ms=${SAMPLE_MS}`];
  const sampling = spawn("nvidia-smi", query, { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  sampling.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  sampling.on("error", () => undefined);
  try {
    const result = await work();
    const busy = output
      .split("\n")
      .map(Number)
      .filter((percent) => percent > 0);
    return { result, utilisation: busy.reduce((sum, percent) => sum + percent, 0) / busy.length / 100 };
  } finally {
    sampling.kill();
  }
}
