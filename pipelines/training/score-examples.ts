import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import { decodeExample, type EncodedExample, type SkippedExample } from "../../operators/training/read-examples.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { pixelBytes } from "../../schemas/pixels.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { outputWidth } from "../../schemas/output-width.js";

export interface ScoreExamplesOptions {
  readonly engine: Engine;
  readonly card: ModelCard;
  readonly decoder: Decoder;
  readonly decode: DecodeConfig;
  readonly signal?: AbortSignal | undefined;
}

/** An example and its logits, [C], or why it has none. */
export type ScoredExample =
  | { readonly example: EncodedExample; readonly logits: Float32Array }
  | { readonly example: EncodedExample; readonly skipped: SkippedExample };

/**
 * Scores a few images outside of any log, in their order: decoded, then run in batches, as `ingest` does. Throws E_CANCELLED, and
 * E_IMAGE_SCORES for scores that are not finite, or the same for every class.
 */
export async function* scoreExamples(
  examples: AsyncIterable<EncodedExample>,
  options: ScoreExamplesOptions,
): AsyncGenerator<ScoredExample, void, undefined> {
  let group: EncodedExample[] = [];
  for await (const example of examples) {
    group.push(example);
    if (group.length < options.engine.info.batch) continue;
    yield* scoreGroup(group, options);
    group = [];
  }
  if (group.length > 0) yield* scoreGroup(group, options);
}

async function* scoreGroup(
  group: readonly EncodedExample[],
  { engine, card, decoder, decode, signal }: ScoreExamplesOptions,
): AsyncGenerator<ScoredExample, void, undefined> {
  if (signal?.aborted === true) throw new SluiceError("E_CANCELLED", "Stopped on request while scoring images.");
  const reading = { decoder, card, config: decode, maxBytes: Number.POSITIVE_INFINITY, signal };
  const read = await Promise.all(group.map((example) => decodeExample(example, reading)));
  const size = pixelBytes(card.input);
  const decoded = read.filter((result) => "pixels" in result);
  const pixels = new Uint8Array(decoded.length * size);
  decoded.forEach((part, at) => {
    pixels.set(part.pixels, at * size);
  });
  const scores = await engine.score({ count: decoded.length, pixels });
  const classes = card.labels.length;
  const width = outputWidth(card);
  let row = 0;
  for (const [at, example] of group.entries()) {
    const result = read[at]!;
    if (!("pixels" in result)) {
      yield { example, skipped: result };
      continue;
    }
    const own = scores.slice(row * width, row * width + classes);
    row++;
    assertTelling(own, example.uri, card);
    yield { example, logits: own };
  }
}

/** Throws E_IMAGE_SCORES for logits that rank nothing. */
export function assertTelling(logits: Float32Array, uri: string, card: ModelCard): void {
  const at = logits.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new SluiceError(
      "E_IMAGE_SCORES",
      `Expected finite scores of ${uri} from teacher ${card.name}, found ${logits[at]} for ${card.labels[at]}: the weights or their export are damaged, or the input is normalised in another way than the model was trained with.`,
      { uri, class: at },
    );
  }
  if (logits.some((value) => value !== logits[0])) return;
  throw new SluiceError(
    "E_IMAGE_SCORES",
    `Expected teacher ${card.name} to tell classes apart, found the same score, ${logits[0]}, for every class of ${uri}: is it trained, and is ${card.output.name ?? "its output"} the output with the classes?`,
    { uri },
  );
}
