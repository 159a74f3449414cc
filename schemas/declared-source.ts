import { z } from "zod";

/** A source that a stream is known to have, and how it is opened. */
export const declaredSourceSchema = z.strictObject({
  /** A folder, tar shards, or a bucket's prefix; paths are absolute */
  places: z.array(z.string().min(1)).min(1),
  /** Globs; none: everything */
  include: z.array(z.string()),
  /** Of a folder: links are taken for what they lead to */
  followLinks: z.boolean(),
  /** Of a folder: not those that lead out of this one */
  linksWithin: z.string().optional(),
});
export type DeclaredSource = z.infer<typeof declaredSourceSchema>;

/** The sources that are known, with what was said last of this one. */
export function withSource(sources: readonly DeclaredSource[], source: DeclaredSource): readonly DeclaredSource[] {
  const isSame = (one: DeclaredSource): boolean => JSON.stringify(one.places) === JSON.stringify(source.places);
  return sources.some(isSame) ? sources.map((one) => (isSame(one) ? source : one)) : [...sources, source];
}
