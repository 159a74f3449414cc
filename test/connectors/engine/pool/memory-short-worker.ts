// An engine worker whose model has memory for four images in one run: above that it throws what a CUDA provider says, or, where an image's
// first pixel says so, ends as a library does that allocates without asking.
import { loadRunner } from "../../../../connectors/engine/pool/load-runner.js";
import { serveAsWorker } from "../../../../connectors/engine/pool/worker-program.js";
import { valueGiven } from "../value-given.js";

const FITS = 4;
/** A first pixel */
const ABORT = 251;

serveAsWorker(async (setup) => {
  const runner = await loadRunner(setup);
  return {
    ...runner,
    run: (input, count) => {
      if (count > FITS && valueGiven(input, 0) === ABORT) {
        process.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n");
        process.abort();
      }
      if (count > FITS) throw new Error("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size)");
      return runner.run(input, count);
    },
  };
});
