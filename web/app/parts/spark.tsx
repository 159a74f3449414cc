interface SparkProps {
  /** Oldest first; null where nothing is known */
  readonly values: readonly (number | null)[];
  /** What it shows, for those who do not see it */
  readonly label: string;
  /** The top of the scale; by default the greatest value */
  readonly most?: number;
}

const WIDTH = 72;
const HEIGHT = 20;
/** px between a line and the edge */
const EDGE = 2;

/** How something went, as a line as small as a word. What it comes to is said in text beside it. */
export function Spark({ values, label, most }: SparkProps) {
  const top = Math.max(most ?? 0, ...values.map((value) => value ?? 0), Number.MIN_VALUE);
  const x = (at: number): number => EDGE + ((WIDTH - 2 * EDGE) * at) / Math.max(1, values.length - 1);
  const y = (value: number): number => HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * value) / top;
  const points = values.flatMap((value, at) => (value === null ? [] : [`${x(at).toFixed(1)},${y(value).toFixed(1)}`]));
  const last = points.at(-1)?.split(",");
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <polyline points={points.join(" ")} />
      {last === undefined ? null : <circle cx={last[0]} cy={last[1]} r="1.8" />}
    </svg>
  );
}
