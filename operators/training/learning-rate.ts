/** A learning rate that climbs in a straight line to its peak and comes down on half a cosine to nothing. */
export interface LearningRate {
  readonly peak: number;
  /** Steps of climbing; a large first step from random weights can throw training off for good */
  readonly warmUpSteps: number;
}

/** The rate for `step` of `steps`, 0 <= step < steps. */
export function learningRateAt(rate: LearningRate, step: number, steps: number): number {
  const { peak, warmUpSteps } = rate;
  if (step < warmUpSteps) return (peak * (step + 1)) / (warmUpSteps + 1);
  const share = (step - warmUpSteps) / Math.max(1, steps - warmUpSteps);
  return (peak * (1 + Math.cos(Math.PI * share))) / 2;
}
