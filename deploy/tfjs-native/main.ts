import { parseArgs } from "node:util";
import { EXIT, isSluiceError, messageOf } from "../../schemas/errors.js";
import type { NativeVariant } from "../../connectors/native-tfjs.js";
import { buildNative, fetchCuda } from "./build.js";
import type { Doing } from "./pip.js";

const HELP = `Builds the native TensorFlow.js, so that the engine backends node and node-gpu run.

  npm run tfjs-native -- cpu     for processors
  npm run tfjs-native -- gpu     for NVIDIA's GPUs (runs on the processor where there is none)
  npm run tfjs-native -- cuda    fetches NVIDIA's own libraries for it, where CUDA 12 and cuDNN 8.9 are not installed

Several can be named. Each is done once and kept in $SLUICE_CACHE (default ~/.cache/sluice), outside the checkout; a folder that
is there already is left alone, and deleting it undoes everything. Linux x64; needs python3 with pip, g++, npm and a
network: 214 MB are downloaded for cpu (0.7 GB are kept), 591 MB for gpu (1.3 GB), 1.9 GB for cuda (2.8 GB). \`sluice check\` says what is built, and
which CUDA libraries are missing. See docs/engines.md.
`;

const STEPS: Readonly<Record<string, (doing: Doing) => Promise<string>>> = {
  cpu: (doing) => buildNative("cpu" satisfies NativeVariant, doing),
  gpu: (doing) => buildNative("gpu" satisfies NativeVariant, doing),
  cuda: (doing) => fetchCuda(doing),
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const names = [...new Set(positionals)];
  const unknown = names.filter((name) => !(name in STEPS));
  if (names.length === 0 || unknown.length > 0) {
    const found = names.length === 0 ? "nothing" : unknown.join(", ");
    process.stderr.write(`Expected cpu, gpu or cuda, found ${found}.\n\n${HELP}`);
    return EXIT.usage;
  }
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      stopping.abort();
    });
  for (const name of names) {
    const startedMs = Date.now();
    const report = (line: string): void => void process.stdout.write(`tfjs-native ${name}: ${line}\n`);
    try {
      const folder = await STEPS[name]!({ report, signal: stopping.signal });
      report(`ready after ${Math.round((Date.now() - startedMs) / 1000)} s, in ${folder}`);
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      report("stopped; what was half built is removed");
      return EXIT.interrupted;
    }
  }
  return EXIT.ok;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${isSluiceError(error) ? error.code : "Error"}: ${messageOf(error)}\n`);
    process.exit(isSluiceError(error) ? error.exitCode : EXIT.failed);
  },
);
