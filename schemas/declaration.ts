import { z } from "zod";
import { archiveSchema, decodeSchema, settingsSchema, type Config } from "./config.js";
import { datasetSchema } from "./dataset.js";
import { declaredSourceSchema, type DeclaredSource } from "./declared-source.js";
import { SluiceError } from "./errors.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

export const DECLARATION_VERSION = 1;

/** The classifier, as it was named when it was declared. Its digest says which it is, its path where it was. */
export const declaredTeacherSchema = z.strictObject({
  /** Absolute, on the machine that declared it */
  path: z.string().min(1),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string(),
});
export type DeclaredTeacher = z.infer<typeof declaredTeacherSchema>;

const { bytes, retainBytes, maxFutureSkewMs } = settingsSchema.shape;

/** The settings of a stream that change what is archived of it. What differs between machines is none of them. */
export const streamSettingsSchema = z.strictObject({
  teacher: declaredTeacherSchema.nullable(),
  decode: decodeSchema.omit({ concurrency: true }),
  archive: archiveSchema.pick({ topM: true, logits: true, embedding: true }),
  bytes,
  retainBytes,
  maxFutureSkewMs,
  sources: z.array(declaredSourceSchema),
  /** Scores what the log has, beside the one that stands, and then stands in its place */
  next: declaredTeacherSchema.optional(),
  /** Those that others took the place of, the newest last: a file that names one of them is out of date */
  former: z.array(declaredTeacherSchema).optional(),
});
export type StreamSettings = z.infer<typeof streamSettingsSchema>;

/** Which settings of `decode` and `archive` are declared; those of sluice.yaml beside them are a process's own. */
export const DECLARED_MEMBERS = {
  decode: Object.keys(streamSettingsSchema.shape.decode.shape),
  archive: Object.keys(streamSettingsSchema.shape.archive.shape),
} as const;

/** What a configuration says of its stream; `before`: what is declared, of which a change of teacher stays as long as the teacher does. */
export function streamSettingsOf(
  { decode, archive, ...config }: Config,
  teacher: DeclaredTeacher | null,
  sources: readonly DeclaredSource[],
  before: StreamSettings | null = null,
): StreamSettings {
  const chosen = (members: object, names: readonly string[]): object =>
    Object.fromEntries(Object.entries(members).filter(([name]) => names.includes(name)));
  return streamSettingsSchema.parse({
    teacher,
    decode: chosen(decode, DECLARED_MEMBERS.decode),
    archive: chosen(archive, DECLARED_MEMBERS.archive),
    bytes: config.bytes,
    retainBytes: config.retainBytes,
    maxFutureSkewMs: config.maxFutureSkewMs,
    sources,
    ...(before?.teacher?.digest === teacher?.digest ? { next: before?.next, former: before?.former } : {}),
  });
}

const told = {
  schemaVersion: z.literal(DECLARATION_VERSION),
  /** ISO 8601, UTC */
  at: z.string(),
  /** The command that declared it */
  by: z.string(),
};

/** One revision of a dataset; `dataset` null: it was dropped. */
export const datasetDeclarationSchema = z.strictObject({
  ...told,
  stream: z.string(),
  dataset: datasetSchema.nullable(),
  /** When it was first declared, ms since the epoch, and its place among those declared with it: their order */
  since: z.strictObject({ atMs: z.int().nonnegative(), place: z.int().nonnegative() }),
});
export type DatasetDeclaration = z.infer<typeof datasetDeclarationSchema>;

/** One revision of a stream. */
export const streamDeclarationSchema = z.strictObject({ ...told, settings: streamSettingsSchema });
export type StreamDeclaration = z.infer<typeof streamDeclarationSchema>;

export function encodeDeclaration(declaration: DatasetDeclaration | StreamDeclaration): Uint8Array {
  return sealJson(declaration, 2);
}

/** Throws E_STORE_CORRUPT, naming `key`. */
export function decodeDeclaration<T>(schema: z.ZodType<T>, bytes: Uint8Array, key: string): T {
  try {
    return schema.parse(openSealedJson(bytes));
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected a declaration (JSON, version ${DECLARATION_VERSION}) at ${key}, found something else. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
