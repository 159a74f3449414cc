import { z } from "zod";
import { count, precisionSchema, sha256Text } from "./shared.js";

/** A teacher that has scored into the store. */
const teacherSchema = z.strictObject({
  digest: sha256Text,
  name: z.string(),
  /** It is the one that commands take */
  isDeclared: z.boolean(),
  format: z.string(),
  weights: z.strictObject({ sha256: sha256Text, files: count, sizeBytes: count }),
  input: z.strictObject({ width: count, height: count, colour: z.string() }),
  output: z.string(),
  temperature: z.number().positive(),
  classes: count,
  /** How often its classes were called something else */
  renamed: count,
  /** What it has scored; `watermarkMs`: the greatest event time */
  streams: z.array(z.strictObject({ stream: z.string(), archived: count, watermarkMs: z.int().nullable() })).readonly(),
  versions: z
    .array(
      z.strictObject({
        dataset: z.string(),
        number: z.int().positive(),
        id: sha256Text,
        rows: count,
        createdAt: z.string(),
        parent: z.int().positive().nullable(),
      }),
    )
    .readonly(),
  /** How right people found its newest versions, as far as they have judged their audits */
  audits: z
    .array(z.strictObject({ dataset: z.string(), number: z.int().positive(), precision: precisionSchema }))
    .readonly(),
});
export type ListedTeacher = z.infer<typeof teacherSchema>;

export const teacherListSchema = z.strictObject({ teachers: z.array(teacherSchema).readonly() });
export type TeacherList = z.infer<typeof teacherListSchema>;
