/** Numbers in [0, 2^32) from a seed: xorshift128, fast enough to make billions. */
export function randomWords(seed: number): () => number {
  let [x, y, z, w] = [seed | 1, 0x6c078965, 0x9908b0df, 0x5d588b65];
  return () => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w ^= (w >>> 19) ^ t ^ (t >>> 8);
    return w >>> 0;
  };
}

/** For each of 2^16 equally likely draws a class: class c is drawn in proportion to 1 / (c + 1). */
export function zipfTable(classes: number): Uint16Array {
  const table = new Uint16Array(1 << 16);
  const total = Array.from({ length: classes }, (_, c) => 1 / (c + 1)).reduce((sum, share) => sum + share, 0);
  let classIndex = 0;
  let reached = 1 / total;
  for (let draw = 0; draw < table.length; draw++) {
    while (reached * table.length <= draw && classIndex < classes - 1) reached += 1 / (++classIndex + 1) / total;
    table[draw] = classIndex;
  }
  return table;
}
