export type Point = readonly [x: number, y: number];

/** Strokes, each a line from point to point. */
export type Glyph = readonly (readonly Point[])[];

/**
 * Letters and signs on a square from -1 to 1, y downwards: points apart by spaces, strokes by semicolons. Left out is
 * what can be read as a digit (B, G, I, J, L, O, S, Z, q …).
 */
const DRAWN = {
  A: "-0.8,1 0,-1 0.8,1; -0.45,0.25 0.45,0.25",
  E: "0.7,-1 -0.6,-1 -0.6,1 0.7,1; -0.6,0 0.5,0",
  F: "0.7,-1 -0.6,-1 -0.6,1; -0.6,0 0.5,0",
  H: "-0.7,-1 -0.7,1; 0.7,-1 0.7,1; -0.7,0 0.7,0",
  K: "-0.6,-1 -0.6,1; 0.7,-1 -0.6,0.1 0.7,1",
  M: "-0.8,1 -0.8,-1 0,0.3 0.8,-1 0.8,1",
  N: "-0.7,1 -0.7,-1 0.7,1 0.7,-1",
  R: "-0.6,1 -0.6,-1 0.4,-1 0.65,-0.5 0.4,0 -0.6,0 0.7,1",
  T: "-0.8,-1 0.8,-1; 0,-1 0,1",
  W: "-0.8,-1 -0.4,1 0,-0.2 0.4,1 0.8,-1",
  X: "-0.8,-1 0.8,1; 0.8,-1 -0.8,1",
  Y: "-0.8,-1 0,0 0.8,-1; 0,0 0,1",
  plus: "-0.9,0 0.9,0; 0,-0.9 0,0.9",
  triangle: "0,-0.9 0.9,0.8 -0.9,0.8 0,-0.9",
  arrow: "-0.9,0 0.9,0; 0.3,-0.6 0.9,0 0.3,0.6",
  hash: "-0.4,-1 -0.4,1; 0.4,-1 0.4,1; -0.9,-0.4 0.9,-0.4; -0.9,0.4 0.9,0.4",
  equals: "-0.9,-0.4 0.9,-0.4; -0.9,0.4 0.9,0.4",
  zigzag: "-0.9,0.9 -0.3,-0.6 0,0.6 0.4,-0.9 0.9,0.9",
};

export const GLYPHS: readonly Glyph[] = Object.values(DRAWN).map((strokes) =>
  strokes.split("; ").map((points) =>
    points.split(" ").map((point): Point => {
      const [x, y] = point.split(",").map(Number);
      return [x!, y!];
    }),
  ),
);
