import { SeededRandom } from "./seeded-random.js";

/** Gives the rows of one training batch after another, for ever: indices into the examples, [batch]. */
export type Sampler = () => Int32Array;

export interface SamplerOptions {
  /** Class indices of the examples, at least one */
  readonly labels: Int32Array;
  /** Rows a batch */
  readonly batch: number;
  readonly seed: number;
}

/** Every example once, in random order, then again in another order, and so on; batches run across the passes. */
export function shuffledSampler({ labels, batch, seed }: SamplerOptions): Sampler {
  const draw = endlessDeck(
    Int32Array.from(labels, (_, row) => row),
    new SeededRandom(seed, "shuffled sampler"),
  );
  return () => Int32Array.from({ length: batch }, draw);
}

/**
 * As many examples of each class that has any, in turns; within a class as `shuffledSampler` has it. A long-tailed set is
 * seen as if it were balanced: its rare classes' examples come round more often.
 */
export function classBalancedSampler({ labels, batch, seed }: SamplerOptions): Sampler {
  const random = new SeededRandom(seed, "class-balanced sampler");
  const rows = new Map<number, number[]>();
  labels.forEach((label, row) => {
    const own = rows.get(label);
    if (own === undefined) rows.set(label, [row]);
    else own.push(row);
  });
  const decks = [...rows.keys()]
    .sort((a, b) => a - b)
    .map((label) => endlessDeck(Int32Array.from(rows.get(label)!), random));
  let turn = 0;
  return () => Int32Array.from({ length: batch }, () => decks[turn++ % decks.length]!());
}

/** Draws every row once before any comes again. */
function endlessDeck(rows: Int32Array, random: SeededRandom): () => number {
  let at = rows.length;
  return () => {
    if (at >= rows.length) {
      random.shuffle(rows);
      at = 0;
    }
    return rows[at++]!;
  };
}
