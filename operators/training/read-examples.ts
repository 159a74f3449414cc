import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError, type ErrorCode } from "../../schemas/errors.js";
import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { pixelBytes } from "../../schemas/pixels.js";
import type { ImageNote } from "../../schemas/image-notes.js";
import { notesOf, planDecode, refuse, refuseDecoded } from "../image/decode-plan.js";
import { isBadImage } from "../image/fetch.js";

/** An encoded image and what it shows. */
export interface EncodedExample {
  /** Class index */
  readonly label: number;
  /** Probabilities of all classes that training is to come to, [C]; absent: the label's alone. All examples of a set have them, or none has */
  readonly target?: Float32Array | undefined;
  /** Where it lies, for messages; its extension is held against its content */
  readonly uri: string;
  /** Reads it; throws E_IMAGE_… for an image that cannot be had */
  readonly bytes: () => Promise<Uint8Array>;
}

export interface SkippedExample {
  readonly uri: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface ReadExamplesOptions {
  readonly decoder: Decoder;
  readonly card: Pick<ModelCard, "input" | "resize">;
  readonly config: DecodeConfig;
  /** Bytes of pixels that may be held; more is E_MEMORY */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
  readonly onExample?: ((count: number) => void) | undefined;
}

export interface ReadExamples {
  readonly examples: LabelledPixels;
  /** What was done to at least one of them on the way */
  readonly notes: ReadonlySet<ImageNote>;
  /** Bad images: each costs itself only */
  readonly skipped: readonly SkippedExample[];
}

/** Images decoded side by side. The decoder bounds how many of them really run. */
const TOGETHER = 32;

/**
 * Decodes examples into memory, in their order, as the model's input size asks: the same way as `ingest` decodes for a teacher.
 * Throws E_TRAIN_DATA where none can be used, E_MEMORY, E_CANCELLED, and what reading throws for failed I/O.
 */
export async function readExamples(
  source: AsyncIterable<EncodedExample>,
  options: ReadExamplesOptions,
): Promise<ReadExamples> {
  const { card, maxBytes, signal, onExample } = options;
  const size = pixelBytes(card.input);
  const parts: Uint8Array[] = [];
  const labels: number[] = [];
  const targets: Float32Array[] = [];
  const skipped: SkippedExample[] = [];
  const notes = new Set<ImageNote>();
  const take = async (group: readonly EncodedExample[]): Promise<void> => {
    if (signal?.aborted === true) {
      throw new SluiceError("E_CANCELLED", "Stopped on request while reading training images.", {
        cause: signal.reason,
      });
    }
    const read = await Promise.all(group.map((example) => decodeExample(example, options)));
    read.forEach((result, at) => {
      if (!("pixels" in result)) {
        skipped.push(result);
        return;
      }
      parts.push(result.pixels);
      for (const note of result.notes) notes.add(note);
      labels.push(group[at]!.label);
      const { target } = group[at]!;
      if (target !== undefined) targets.push(target);
    });
    if (parts.length * size > maxBytes) {
      throw new SluiceError(
        "E_MEMORY",
        `Expected training images of at most ${maxBytes} bytes once decoded, found more: ${parts.length} of ${size} bytes each and others to come. ` +
          "Use fewer images (a smaller K), or train with your own program on the version's shards.",
        { needed: parts.length * size, maxBytes },
      );
    }
    onExample?.(parts.length);
  };
  let group: EncodedExample[] = [];
  for await (const example of source) {
    group.push(example);
    if (group.length < TOGETHER) continue;
    await take(group);
    group = [];
  }
  if (group.length > 0) await take(group);
  const [first] = skipped;
  if (parts.length === 0) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected images to train on, found ${first === undefined ? "none" : `${skipped.length} that cannot be used, the first ${first.uri}: ${first.reason}`}.`,
    );
  }
  const pixels = new Uint8Array(parts.length * size);
  parts.forEach((part, at) => {
    pixels.set(part, at * size);
  });
  return {
    examples: { count: parts.length, pixels, labels: Int32Array.from(labels), targets: together(targets) },
    notes,
    skipped,
  };
}

function together(targets: readonly Float32Array[]): Float32Array | undefined {
  const [first] = targets;
  if (first === undefined) return undefined;
  const all = new Float32Array(targets.length * first.length);
  targets.forEach((target, at) => {
    all.set(target, at * first.length);
  });
  return all;
}

export interface DecodedExample {
  readonly pixels: Uint8Array;
  readonly notes: readonly ImageNote[];
}

/** One example's pixels, or why it cannot be used. Throws what reading throws for failed I/O. */
export async function decodeExample(
  { uri, bytes }: EncodedExample,
  { decoder, card, config }: ReadExamplesOptions,
): Promise<DecodedExample | SkippedExample> {
  try {
    const encoded = await bytes();
    const header = await decoder.header(encoded);
    const refused = refuse(header, config, uri);
    if (refused !== null) return { uri, ...refused };
    const plan = planDecode(header, card);
    const { pixels, notes } = await decoder.decode(encoded, header, plan);
    const refusedAfter = refuseDecoded(notes, config);
    return refusedAfter === null
      ? { pixels, notes: [...notesOf(header, plan, uri), ...notes] }
      : { uri, ...refusedAfter };
  } catch (error) {
    if (error instanceof SluiceError && isBadImage(error.code)) return { uri, code: error.code, reason: error.message };
    throw error;
  }
}
