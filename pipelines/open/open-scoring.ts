import { resolve } from "node:path";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher, type LoadedTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { sharpSheets } from "../../connectors/sheet/sharp.js";
import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import { openUri } from "../../connectors/source/open-uri.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import type { Renaming } from "../../operators/archive/teacher-registry.js";
import type { ImageDecoding } from "../../operators/image/decode.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import { isSluiceError, orNull, SluiceError } from "../../schemas/errors.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { assertAnswerable } from "../flow/answerable.js";
import { DecodePool } from "../flow/decode-pool.js";
import { assertFits } from "../flow/memory-estimate.js";
import { withStoredNames, type NamedTeacher } from "../flow/named-classes.js";
import { fetchModel, storedModel } from "../teachers/stored-models.js";
import { openImageBuckets } from "./open-bucket.js";
import { guardOf } from "./source-places.js";

/** What scoring needs beside the workspace. */
export interface ScoringParts {
  readonly teacher: NamedTeacher;
  readonly engine: Engine;
  readonly decoder: Decoder;
  /** In threads of its own, once there is much to decode */
  readonly decoding: ImageDecoding;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer;
  close(): Promise<void>;
}

/** What those take who score images and publish nothing. */
export type ImageScoring = Pick<ScoringParts, "teacher" | "engine" | "decoder" | "opener"> &
  Partial<Pick<ScoringParts, "decoding">>;

export interface OpenScoringOptions {
  /** The configured teacher, where it is loaded already */
  readonly teacher?: LoadedTeacher;
  /** Whether the datasets' states are kept in this process. Default true. */
  readonly keepsStates?: boolean;
  /** Images that are decoded in the caller's thread before others are started */
  readonly beforeThreads?: number | undefined;
  /** Where it is remembered what classes are called; by default they are called as the card says */
  readonly names?: { readonly store: Store; readonly renaming: Renaming };
}

/**
 * Loads the configured teacher onto the best engine there is. Throws E_CONFIG where none is configured, E_MEMORY where
 * the datasets do not fit (unless their states are kept elsewhere), and what loading a teacher and an engine throws. `onNote`
 * hears what the engine says of itself.
 */
export async function openScoring(
  config: Config,
  onNote: (line: string) => void = () => undefined,
  { keepsStates = true, names, teacher: given, beforeThreads }: OpenScoringOptions = {},
): Promise<ScoringParts> {
  const loaded = given ?? (await namedTeacher(config));
  const teacher = names === undefined ? loaded : await withStoredNames(names.store, loaded, names.renaming, onNote);
  if (keepsStates) assertFits(config, teacher.card);
  assertAnswerable(config, teacher.card);
  const engine = await openEngine(teacher, config.engine, { onNote });
  const { name, version, backend, device, batch } = engine.info;
  onNote(`engine: ${name} ${version} on ${backend} (${device}), batch ${batch}`);
  const parts = publishingParts(config);
  const decoding = new DecodePool({
    decoder: parts.decoder,
    card: teacher.card,
    config: config.decode,
    ...(beforeThreads === undefined ? {} : { beforeThreads }),
  });
  const close = async (): Promise<void> => {
    await Promise.all([engine.close(), decoding.close()]);
  };
  return { teacher, engine, decoding, ...parts, close };
}

/**
 * The configured teacher, without an engine. `declared`: the one that it must be, where nobody has named another for this call; a model
 * that lies in `store` is fetched where it is not at its place.
 * Throws E_CONFIG where none is named, E_TEACHER_CARD where a declared one has moved or changed, and what loading throws.
 */
export async function namedTeacher(
  config: Config,
  declared: DeclaredTeacher | null = null,
  store?: Store,
): Promise<LoadedTeacher> {
  if (declared !== null) return declaredTeacher(declared, config, store);
  if (config.teacher !== undefined) return loadTeacher(config.teacher);
  throw new SluiceError(
    "E_CONFIG",
    "Expected a teacher, found none. Name a model file or a folder with a model card: --teacher, SLUICE_TEACHER, or `teacher:` in sluice.yaml.",
  );
}

async function declaredTeacher(
  { path, digest, name }: DeclaredTeacher,
  { data }: Config,
  store: Store | undefined,
): Promise<LoadedTeacher> {
  const expected = `Expected the declared teacher ${name} (${digest.slice(0, 12)}) at ${path}`;
  const again =
    "Name it where it is now, or another in its place: `sluice ingest --teacher <path>`, or `sluice datasets apply --teacher <path>`";
  let teacher: LoadedTeacher;
  try {
    teacher = await loadTeacher(path);
    if (teacherDigest(teacher.card) === digest) return teacher;
  } catch (cause) {
    const fetched = await fetchedTeacher(digest, data, store);
    if (fetched !== null) return fetched;
    if (!isSluiceError(cause, "E_TEACHER_CARD") && !isSluiceError(cause, "E_TEACHER_WEIGHTS")) throw cause;
    throw new SluiceError(cause.code, `${expected}, found that it cannot be read there. ${again}. ${cause.message}`, {
      ...cause.context,
      cause,
    });
  }
  const fetched = await fetchedTeacher(digest, data, store);
  if (fetched !== null) return fetched;
  const found = teacherDigest(teacher.card);
  throw new SluiceError(
    "E_TEACHER_CARD",
    `${expected}, found another there (${found.slice(0, 12)}): its files have changed since. Restore them. ${again}.`,
    { path, expected: digest, found },
  );
}

/** A promoted model lies in the store: each machine has it below its data folder. */
async function fetchedTeacher(digest: string, data: string, store: Store | undefined): Promise<LoadedTeacher | null> {
  const folder = fetchedModelFolder(data, digest);
  const isThere = await orNull(loadTeacher(folder), "E_TEACHER_CARD", "E_TEACHER_WEIGHTS");
  if (isThere !== null && teacherDigest(isThere.card) === digest) return isThere;
  if (store === undefined || (await storedModel(store, digest)) === null) return null;
  return loadTeacher(await fetchModel(store, digest, folder));
}

/** What `loadTeacher` finds a loaded teacher by again. */
export function pathOf({ cardPath, folder, card }: LoadedTeacher): string {
  return cardPath ?? resolve(folder, card.weights.files[0]!.path);
}

/** Where a model from the store lies on this machine. */
export function fetchedModelFolder(data: string, digest: string): string {
  return resolve(data, "models", digest);
}

/** What decodes, finds and draws images; needs no teacher. */
export function publishingParts(config: Config): { decoder: Decoder; opener: ImageOpener; sheets: SheetRenderer } {
  return {
    decoder: openSharpDecoder({ concurrency: config.decode.concurrency }),
    opener: openUri({ buckets: openImageBuckets(config.s3), guard: guardOf(config) }),
    sheets: sharpSheets,
  };
}
