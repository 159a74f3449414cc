/** What was measured of one thing at one moment. `timeS`: since the run began */
export interface Sample {
  readonly timeS: number;
  readonly value: number;
}

/** How something changes while it is looked at. */
export interface Growth {
  /** Its mean, after what a process takes at its start */
  readonly mean: number;
  /** A least-squares line's rise an hour, with its interval of 95 % */
  readonly slopeAnHour: number;
  readonly least: number;
  readonly most: number;
  /** Whether it rises beyond doubt, and by more than is tolerated over the time that was looked at; null where that was too short to say */
  readonly grows: boolean | null;
}

/** The first share of the time is left out: libraries are loaded, caches fill, code is compiled. */
const WARM_UP = 0.25;
/** Samples that follow each other are alike, so that the line goes through as many blocks of them, each its least: what is left after a collection */
const BLOCKS = 12;
/** Student's t for 95 %, with BLOCKS - 2 degrees of freedom */
const T = 2.228;

/** Throws where there is nothing to look at. `tolerated`: a rise over the time looked at that is nothing */
export function growthOf(samples: readonly Sample[], tolerated: number): Growth {
  const endS = samples.at(-1)?.timeS;
  if (endS === undefined) throw new TypeError("expected samples, found none");
  const kept = samples.filter(({ timeS }) => timeS >= endS * WARM_UP);
  const mean = kept.reduce((sum, { value }) => sum + value, 0) / kept.length;
  if (kept.length < 2 * BLOCKS) return { mean, slopeAnHour: 0, least: -Infinity, most: Infinity, grows: null };
  const points = Array.from({ length: BLOCKS }, (_, block) => {
    const some = kept.slice(
      Math.floor((block * kept.length) / BLOCKS),
      Math.floor(((block + 1) * kept.length) / BLOCKS),
    );
    return {
      x: some.reduce((sum, { timeS }) => sum + timeS, 0) / some.length / 3600,
      y: Math.min(...some.map(({ value }) => value)),
    };
  });
  const [xMean, yMean] = [
    points.reduce((sum, { x }) => sum + x, 0) / BLOCKS,
    points.reduce((sum, { y }) => sum + y, 0) / BLOCKS,
  ];
  const spread = points.reduce((sum, { x }) => sum + (x - xMean) ** 2, 0);
  const slope = points.reduce((sum, { x, y }) => sum + (x - xMean) * (y - yMean), 0) / spread;
  const rest = points.reduce((sum, { x, y }) => sum + (y - yMean - slope * (x - xMean)) ** 2, 0);
  const half = T * Math.sqrt(rest / (BLOCKS - 2) / spread);
  const hours = (kept.at(-1)!.timeS - kept[0]!.timeS) / 3600;
  return {
    mean,
    slopeAnHour: slope,
    least: slope - half,
    most: slope + half,
    grows: slope - half > 0 && slope * hours > tolerated,
  };
}
