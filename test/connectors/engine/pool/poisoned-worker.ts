// An engine worker that ends in the way that its first poisonous pixel says. Images of which no first pixel is poison run as ever.
import { loadRunner } from "../../../../connectors/engine/pool/load-runner.js";
import { pixelBytes } from "../../../../schemas/pixels.js";
import { serveAsWorker } from "../../../../connectors/engine/pool/worker-program.js";
import { valueGiven } from "../value-given.js";

/** Values of a first pixel */
const ABORT = 251;
const EXIT = 252;
const THROW = 253;

serveAsWorker(async (setup) => {
  const runner = await loadRunner(setup);
  const width = pixelBytes(setup.card.input);
  return {
    ...runner,
    run: (input, count) => {
      for (let at = 0; at < count * width; at += width) {
        const first = valueGiven(input, at);
        if (first === ABORT) process.abort();
        if (first === EXIT) process.exit(7);
        if (first === THROW) throw new Error("a poisonous pixel");
      }
      return runner.run(input, count);
    },
  };
});
