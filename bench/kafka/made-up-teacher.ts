import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import type { LoadedTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { modelCardSchema } from "../../schemas/model-card.js";
import { pixelBytes, type PixelBatch } from "../../schemas/pixels.js";
import { randomWords } from "../random.js";

const CLASSES = 1000;
/** Rows of logits that all images' logits are made of: 4 MB, made once */
const ROWS = 1024;
const BATCH = 16;

/** A teacher without a model. Another name is another teacher, with an archive and a group of its own. */
export function madeUpTeacher(name: string): LoadedTeacher {
  const sha256 = sha256Hex(name);
  const card = modelCardSchema.parse({
    schemaVersion: 1,
    name,
    format: "onnx",
    weights: { files: [{ path: "model.onnx", sizeBytes: 1, sha256 }], sha256 },
    input: { width: 8, height: 8 },
    resize: {},
    normalise: { mean: [0], std: [1] },
    output: { kind: "logits" },
    labels: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
  });
  return { card, folder: "", cardPath: null, assumptions: [] };
}

/** Decodes nothing: the pixels are the file's last bytes, so that equal files have equal scores. */
export const madeUpDecoder: Decoder = {
  name: "made-up",
  header: () =>
    Promise.resolve({
      format: "jpeg",
      width: 500,
      height: 375,
      frames: 1,
      colourSpace: "srgb",
      bitsPerChannel: 8,
      orientation: 1,
      colourProfile: null,
    }),
  decode: (bytes, _header, { output }, onlooker) => {
    const pixels = new Uint8Array(output.width * output.height * output.channels);
    pixels.set(bytes.subarray(-Math.min(bytes.length, pixels.length)));
    // No picture was decoded: one pixel stands for it, so that no hash is paid for.
    onlooker?.({ pixels: pixels.subarray(0, 3), width: 1, height: 1, channels: 3 });
    return Promise.resolve({ pixels, notes: [] });
  },
};

/**
 * Runs no model: an image's logits are one of some rows of normal numbers, turned by some places and stretched a little, as
 * its pixels say. So every class is as likely as every other, and no two images tie.
 */
export function madeUpEngine({ card }: LoadedTeacher): Engine {
  const rows = normalRows();
  const size = pixelBytes(card.input);
  return {
    info: { name: "made-up", version: "1", backend: "none", device: "none", batchInvariant: "yes", batch: BATCH },
    parallelism: 2,
    score: ({ count, pixels }: PixelBatch) => {
      const logits = new Float32Array(count * CLASSES);
      for (let image = 0; image < count; image++) {
        const words = new DataView(pixels.buffer, pixels.byteOffset + image * size, size);
        const row = words.getUint32(0) % ROWS;
        const turn = words.getUint32(4) % CLASSES;
        const stretch = 0.95 + (0.1 * words.getUint32(8)) / 2 ** 32;
        for (let c = 0; c < CLASSES; c++) {
          const from = c + turn < CLASSES ? c + turn : c + turn - CLASSES;
          logits[image * CLASSES + c] = rows[row * CLASSES + from]! * stretch;
        }
      }
      return Promise.resolve(logits);
    },
    close: () => Promise.resolve(),
  };
}

/** The sum of four even draws, near enough to a normal one */
function normalRows(): Float32Array {
  const random = randomWords(7);
  return Float32Array.from({ length: ROWS * CLASSES }, () => {
    const sum = random() + random() + random() + random();
    return 3 * (sum / 2 ** 32 - 2);
  });
}
