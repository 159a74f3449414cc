// An engine worker that ends in the way that its first poisonous pixel says. Images of which no first pixel is poison run as ever.
import { loadRunner } from "../../../connectors/engine/load-runner.js";
import { pixelBytes } from "../../../schemas/pixels.js";
import { serveAsWorker } from "../../../connectors/engine/worker-program.js";

/** Values of a first pixel, once normalised as (u8/255 - 0.5) / 0.25 */
const ABORT = (251 / 255 - 0.5) / 0.25;
const EXIT = (252 / 255 - 0.5) / 0.25;
const THROW = (253 / 255 - 0.5) / 0.25;

serveAsWorker(async (setup) => {
  const runner = await loadRunner(setup);
  const width = pixelBytes(setup.card.input);
  return {
    ...runner,
    run: (tensor, count) => {
      for (let at = 0; at < count * width; at += width) {
        const first = tensor[at]!;
        if (Math.abs(first - ABORT) < 1e-3) process.abort();
        if (Math.abs(first - EXIT) < 1e-3) process.exit(7);
        if (Math.abs(first - THROW) < 1e-3) throw new Error("a poisonous pixel");
      }
      return runner.run(tensor, count);
    },
  };
});
