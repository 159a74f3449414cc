interface IntervalProps {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly label: string;
  /** What the bar's ends stand for; by default 0 and 1 */
  readonly from?: number;
  readonly to?: number;
}

/** A share with its interval on a scale. */
export function Interval({ value, low, high, label, from = 0, to = 1 }: IntervalProps) {
  const at = (share: number): number => Math.max(0, Math.min(100, (100 * (share - from)) / (to - from)));
  return (
    <span
      class="interval"
      role="img"
      aria-label={`${label} ${value.toFixed(2)}, between ${low.toFixed(2)} and ${high.toFixed(2)}`}
    >
      <span style={{ left: `${at(low)}%`, width: `${Math.max(1, at(high) - at(low))}%` }} />
      <i style={{ left: `${at(value)}%` }} />
    </span>
  );
}
