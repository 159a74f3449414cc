/**
 * What the quickstart chooses. K and P come from what-if on the unlabelled images, not from the test set: see
 * docs/training.md. The student's schedule is the default of `sluice train`.
 */
export const PROTOCOL = {
  seed: 1,
  /** px, of the teacher's and the student's input */
  side: 14,
  /** K: images a class */
  k: 800,
  /** P: classes that an image stands for */
  p: 1,
} as const;
