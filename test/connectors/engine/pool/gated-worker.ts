// An engine worker that runs its first batch, and later ones only once a file named gate lies in the teacher's folder. Until then it
// blocks its thread, as a library does that computes.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadRunner } from "../../../../connectors/engine/pool/load-runner.js";
import { serveAsWorker } from "../../../../connectors/engine/pool/worker-program.js";

const PAUSE = new Int32Array(new SharedArrayBuffer(4));

serveAsWorker(async (setup) => {
  const runner = await loadRunner(setup);
  let runs = 0;
  return {
    ...runner,
    run: (tensor, count) => {
      if (runs++ > 0) while (!existsSync(join(setup.folder, "gate"))) Atomics.wait(PAUSE, 0, 0, 5);
      return runner.run(tensor, count);
    },
  };
});
