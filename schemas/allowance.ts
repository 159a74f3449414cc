/** What is published only where somebody has said so. */
export interface Allowance {
  /** A version without rows */
  readonly empty: boolean;
  /** Rows without bytes, though their image had bytes when it was archived */
  readonly absentBytes: boolean;
  /** Every class short of K, where each image stands for every class */
  readonly starving: boolean;
}

export const NOTHING_ALLOWED: Allowance = { empty: false, absentBytes: false, starving: false };
export const ALL_ALLOWED: Allowance = { empty: true, absentBytes: true, starving: true };
