import { z } from "zod";

/** From where on a dataset's versions are said to have drifted. Above 0.25 a population stability index is commonly called a shift. */
export const driftLimitsSchema = z.strictObject({
  psi: z
    .number()
    .positive()
    .default(0.25)
    .describe("population stability index of the classes' shares, beyond what chance gives such samples"),
  ks: z
    .number()
    .positive()
    .max(1)
    .default(0.15)
    .describe("greatest distance between the distributions of the best class's probability (Kolmogorov-Smirnov)"),
});
export type DriftLimits = z.infer<typeof driftLimitsSchema>;

const share = z.number().min(0).max(1);

/** How what came since the version before differs from what came until then, by the teacher's best class of each image. */
export const driftSchema = z.strictObject({
  /** The version that it is counted from */
  since: z.int().positive(),
  rowsNow: z.int().nonnegative(),
  rowsBefore: z.int().nonnegative(),
  psi: z.number().nonnegative(),
  /** What the index comes to by chance where nothing has changed */
  psiByChance: z.number().nonnegative(),
  ks: share,
  /** The least that chance gives one time in a thousand */
  ksByChance: z.number().nonnegative(),
  /** Those whose shares moved the index most; `ks` of their own images' probabilities, null where there are few */
  classes: z.array(
    z.strictObject({
      class: z.int().nonnegative(),
      label: z.string(),
      now: share,
      before: share,
      ks: share.nullable(),
    }),
  ),
});
export type Drift = z.infer<typeof driftSchema>;

/** Which of a drift's two measures are beyond a dataset's limits, and beyond chance. */
export function driftedMeasures({ psi, psiByChance, ks, ksByChance }: Drift, limits: DriftLimits): ("psi" | "ks")[] {
  return [
    ...(psi - psiByChance > limits.psi ? (["psi"] as const) : []),
    ...(ks > limits.ks && ks > ksByChance ? (["ks"] as const) : []),
  ];
}
