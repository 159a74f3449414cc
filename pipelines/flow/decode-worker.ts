// The program of a decoding thread.
import { parentPort, workerData } from "node:worker_threads";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { PixelRoom } from "../../connectors/decoder/pixel-room.js";
import { toPlainError } from "../../connectors/engine/pool/worker-protocol.js";
import { decodingHere } from "../../operators/image/decode.js";
import { pixelBytes } from "../../schemas/pixels.js";
import {
  END,
  HASH_BYTES,
  LOADED,
  type DecodeAnswer,
  type DecodedImageAnswer,
  type DecodeRequest,
  type DecodeThreadSetup,
} from "./decode-protocol.js";

const { card, config, room } = workerData as DecodeThreadSetup;
const decoder = openSharpDecoder({ concurrency: 1, room: new PixelRoom(room), ownThread: true });
const decoding = decodingHere({ decoder, card, config });
const size = pixelBytes(card.input);
const port = parentPort!;

/** One after the other: they are answered in the order in which they came. */
let last = Promise.resolve();
port.on("message", (request: DecodeRequest | typeof END) => {
  last = last.then(() => {
    if (request !== END) return decodeAll(request);
    port.close();
  });
});
port.postMessage(LOADED);

async function decodeAll({ memory, images }: DecodeRequest): Promise<void> {
  const pixels = new Uint8Array(images.length * size);
  const hashes = new Uint8Array(images.length * HASH_BYTES);
  const answers: DecodedImageAnswer[] = [];
  let start = 0;
  for (const [at, { uri, sizeBytes }] of images.entries()) {
    const bytes = new Uint8Array(memory, start, sizeBytes);
    start += sizeBytes;
    try {
      const decoded = await decoding.decode(bytes, uri);
      if ("code" in decoded) answers.push(decoded);
      else {
        pixels.set(decoded.pixels, at * size);
        hashes.set(decoded.pdq.hash, at * HASH_BYTES);
        const { notes, width, height, pdq } = decoded;
        answers.push({ notes, width, height, quality: pdq.quality });
      }
    } catch (error) {
      answers.push({ error: toPlainError(error, "E_INTERNAL", "a decoding thread failed") });
    }
  }
  const answer: DecodeAnswer = { memory, pixels: pixels.buffer, hashes: hashes.buffer, images: answers };
  port.postMessage(answer, [memory, pixels.buffer, hashes.buffer]);
}
