import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import { openEach } from "../../connectors/source/open-many.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { SluiceError } from "../../schemas/errors.js";
import { ENGINE, testCard } from "../fixtures/archive.js";
import { madeImage } from "../fixtures/cuts.js";
import type { SimProcess, World } from "./world.js";

export const CLASSES = 5;
export const CARD = testCard(CLASSES);
/** Another teacher, which only replays what the first one has scored */
export const OTHER_CARD = testCard(CLASSES, "another teacher");
export const IMAGE_BYTES = 40;

/** What becomes of an image, by its number: most are sound. */
type Kind = "sound" | "corrupt" | "no-scores" | "crashes" | "comes-late";

function kindOf(image: number): Kind {
  if (image >= 19 && image < 23) return "crashes";
  const kinds: Partial<Record<number, Kind>> = { 7: "corrupt", 13: "no-scores", 5: "comes-late" };
  return kinds[image % 23] ?? "sound";
}

export function imageOf(number: number): Uint8Array {
  return madeImage(`i${number} `, IMAGE_BYTES).bytes;
}

export const uriOf = (image: number): string => `file:///sim/${image}.png`;

const numberOf = (bytes: Uint8Array): number => Number(/i(\d+) /.exec(Buffer.from(bytes).toString("latin1"))![1]);

/** Images that a record only refers to. Those that come late are not there before `lateFromMs`. */
export function simOpener(world: World, lateFromMs: number): ImageOpener {
  const opener: ImageOpener = {
    openMany: (asked) => openEach(asked, opener),
    async open(uri) {
      const image = Number(/(\d+)\.png$/.exec(uri)![1]);
      if (kindOf(image) === "comes-late" && world.nowMs < lateFromMs) {
        throw new SluiceError("E_IMAGE_VANISHED", `Expected an image at ${uri}, found none yet.`);
      }
      return imageOf(image);
    },
  };
  return opener;
}

/** Opens nothing: what the store has no bytes of is absent. */
export const NO_OPENER: ImageOpener = {
  openMany: (asked) => openEach(asked, NO_OPENER),
  async open(uri) {
    throw new SluiceError("E_IMAGE_VANISHED", `Expected an image at ${uri}, found none.`);
  },
};

export const simDecoder: Decoder = {
  name: "sim",
  async header() {
    return {
      format: "png",
      width: 8,
      height: 8,
      frames: 1,
      colourSpace: "srgb",
      bitsPerChannel: 8,
      orientation: 1,
      colourProfile: null,
    };
  },
  async decode(bytes, _header, _plan, onlooker) {
    const image = numberOf(bytes);
    if (kindOf(image) === "corrupt") throw new SluiceError("E_IMAGE_CORRUPT", `Image ${image} is corrupt on purpose.`);
    const pixels = new Uint8Array(8 * 8 * 3);
    new DataView(pixels.buffer).setUint32(0, image);
    onlooker?.({ pixels, width: 8, height: 8, channels: 3 });
    return { pixels, notes: [] };
  },
};

/** An image's logits, but for last bits: few values, so that many images tie. */
export function logitsOf(seed: number, image: number): number[] {
  const random = new SeededRandom(seed, `logits of ${image}`);
  return Array.from({ length: CLASSES }, () => random.below(4));
}

/**
 * Scores by a function of seed and image, an image that is scored again, by whomever, gets
 * another last bit in one class. `scored` counts how often each image was.
 */
export function simEngine(world: World, process: SimProcess, seed: number, scored: Map<number, number>): Engine {
  return {
    info: ENGINE,
    parallelism: 2,
    score: ({ count, pixels }) =>
      world.call(process, `score ${count}`, async () => {
        const logits = new Float32Array(count * CLASSES);
        for (let row = 0; row < count; row++) {
          const image = new DataView(pixels.buffer, pixels.byteOffset + row * 192).getUint32(0);
          const kind = kindOf(image);
          if (kind === "crashes") throw new SluiceError("E_ENGINE_CRASH", `Image ${image} ends its worker on purpose.`);
          const into = logits.subarray(row * CLASSES, (row + 1) * CLASSES);
          into.set(logitsOf(seed, image));
          const times = scored.get(image) ?? 0;
          scored.set(image, times + 1);
          if (times > 0) into[(image + times) % CLASSES]! += (times % 2 === 0 ? -1 : 1) * times * 2 ** -21;
          if (kind === "no-scores") into[0] = Number.NaN;
        }
        return logits;
      }),
    close: () => Promise.resolve(),
  };
}
