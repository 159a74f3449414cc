export interface Interval {
  readonly mean: number;
  /** Half of the 95 % confidence interval's width; NaN for fewer than two values */
  readonly halfWidth: number;
}

/** Two-sided 95 % points of Student's t distribution for 1 to 30 degrees of freedom. */
const T95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** The mean of values (of paired differences, say) that are taken as normally distributed, with its 95 % interval. */
export function interval(values: readonly number[]): Interval {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const degrees = values.length - 1;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / degrees;
  const t = T95[Math.min(degrees, T95.length) - 1] ?? NaN;
  return { mean, halfWidth: t * Math.sqrt(variance / values.length) };
}
