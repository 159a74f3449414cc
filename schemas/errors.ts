/** Every code that Sluice reports, with what it means. The one list: docs/errors.md is printed from it. */
export const ERROR_CODES = {
  E_USAGE: "The command line is wrong.",
  E_CONFIG: "The configuration is wrong; the message names the line.",
  E_MEMORY: "The parameters need more memory than there is; the estimate in bytes is in the message.",
  E_FILE: "A file or folder of this machine cannot be used; the message names it and says why.",
  E_FILE_HANDLES: "The shell or the machine allows no more open files; `ulimit -n 1024` does.",
  E_LOCKED: "Another process works on this data folder; its pid is in the message.",
  E_CANCELLED: "The work was stopped on request; it resumes where it stopped.",
  E_BUDGET: "The time that was given is used up; what was scored is archived, and the same command goes on from there.",
  E_SERVICE:
    "A local server (Kafka, object store) or the native TensorFlow.js cannot be built or started; the message says what is missing.",
  E_INTERNAL: "An invariant of Sluice itself is broken: please report it.",

  E_SOURCE_MISSING: "The source (a folder, a shard, a bucket) does not exist.",
  E_SOURCE_READ: "The source cannot be read.",
  E_SOURCE_EMPTY: "The source has no image to take; the message says what it has instead.",

  E_IMAGE_EMPTY: "The image has no bytes.",
  E_IMAGE_TRUNCATED: "The image ends before its pixels do.",
  E_IMAGE_FORMAT: "The bytes are no image in a known format.",
  E_IMAGE_CORRUPT: "The format is known, but the pixels cannot be decoded.",
  E_IMAGE_EXTENSION: "The file's extension names another format than its bytes have.",
  E_IMAGE_ANIMATED: "The image has more than one frame.",
  E_IMAGE_CMYK: "The image is in CMYK.",
  E_IMAGE_DEPTH: "The image has more than 8 bits a channel.",
  E_IMAGE_CHROMA:
    "An AVIF stores colours at half size, in a way of which the pixels that Python makes of it are not known.",
  E_IMAGE_TINY: "The image is smaller than the least side that decoding accepts.",
  E_IMAGE_PIXELS: "The image's header announces more pixels than the limit; it was not decoded.",
  E_IMAGE_SIZE: "The image has more bytes than the limit; it was not read.",
  E_IMAGE_UNREADABLE: "The image's bytes cannot be read (permission, I/O error).",
  E_IMAGE_REFUSED: "The record names a place that `sources.allow` does not: nothing was opened there.",
  E_IMAGE_VANISHED: "The image was listed, but is no longer there.",
  E_IMAGE_ERASED: "The image was erased with `sluice erase`; it is not stored again.",
  E_IMAGE_SCORES: "The teacher gave this image a score that is not a finite number.",

  E_GATEWAY_KEY: "The sender's key stands for another image already: nothing was taken in its place.",
  E_GATEWAY_BUSY: "The gateway has as much in hand as it may: send the same again after `Retry-After`.",

  E_RECORD_SCHEMA: "A record of a topic does not follow its documented format.",
  E_RECORD_FUTURE: "A record's event time lies further in the future than the accepted skew.",

  E_TEACHER_CARD: "The teacher's model card is missing or wrong.",
  E_TEACHER_WEIGHTS: "The teacher's weights are missing, truncated or not those of its card.",
  E_TEACHER_LABELS: "The teacher's output has another width than its card has labels.",
  E_ENGINE_UNAVAILABLE: "The engine or backend asked for is not available on this machine.",
  E_ENGINE_LOAD: "The engine cannot load the model.",
  E_ENGINE_SHAPE: "The model's input or output has another shape than its card says.",
  E_ENGINE_RUN: "The engine failed to run a batch; its worker goes on.",
  E_ENGINE_CRASH: "An engine worker ended unexpectedly.",

  E_LOG_IO: "The log cannot be read or written.",
  E_LOG_ACCESS: "The log refuses the credentials or lacks a permission for them.",
  E_LOG_RANGE: "The offset asked for is not in the log.",
  E_LOG_CORRUPT: "The log in the data folder is damaged; `sluice log rebuild` begins a new one where the archive ends.",
  E_LOG_RECREATED:
    "The log is another one than the archive counts offsets of, or ends below it: its topic was made anew.",

  E_STORE_IO: "The object store cannot be read or written.",
  E_STORE_MISSING: "The object is not in the store.",
  E_STORE_FULL: "The store has no room left.",
  E_STORE_READONLY: "The store cannot be written: it is read-only or permission is missing.",
  E_STORE_BUCKET: "The object store has no such bucket.",
  E_STORE_ACCESS: "The object store refuses the credentials or lacks a permission for them.",
  E_STORE_OTHER: "The stream is archived in another store: this process has other settings than the rest.",
  E_STORE_VERSIONED: "The bucket keeps old versions of what is deleted, so that nothing can be erased there.",
  E_STORE_CONDITIONAL: "The object store does not enforce create-if-absent: commits would not be safe there.",
  E_STORE_NEWER: "The store is of a newer release's format; this one reads and writes nothing there.",
  E_STORE_CORRUPT: "An object's bytes are not those that were written.",

  E_FLOW_FAILED:
    "A partition waited for the scores of an image that another one was at work on, which failed; it goes on by itself.",
  E_CHAIN_GAP: "The archive's chain has a gap.",
  E_CHAIN_CONFLICT: "Two writers disagree on a segment.",
  E_SEGMENT_CORRUPT: "An archive segment cannot be read or contradicts its header.",
  E_PACK_CORRUPT: "A pack of kept images, or what says where its members lie, is not as it was written.",
  E_CHECKPOINT_CORRUPT: "A checkpoint's bytes are not those that were written.",

  E_DATASET_UNKNOWN: "No dataset of that name is declared, and the store has no versions of one.",
  E_DATASET_CONFLICT: "What is asked for differs from what is declared; the message names each difference.",
  E_SELECTION: "A selection parameter is out of range or contradicts another.",
  E_VERSION_MISSING: "There is no such version.",
  E_VERSION_CORRUPT: "A published version does not verify.",
  E_PUBLISH_CONFLICT: "Another publisher won, with another content.",
  E_PUBLISH_EMPTY: "The version would have no rows; nothing was published.",
  E_PUBLISH_ABSENT: "Rows of the version have lost their images' bytes; nothing was published.",
  E_EXPORT_TARGET: "The place to export to holds something else; nothing was written there.",
  E_PUBLISH_STARVING: "Every class is short of K and has every image; nothing was published.",

  E_TRAIN_DATA: "The training data cannot be used (no labels, unknown class, too few images).",
  E_TRAIN_DIVERGED: "The loss of a training ran away, or no learning rate makes it fall.",
  E_TRAIN_OVERLAP: "Images that a model is tested with are among those that it is trained on.",
  E_TRAIN_COMMAND: "The command that trains failed, hung, or wrote no model that can be used.",
  E_SCHEDULE: "A scheduled command failed; its next firing runs it again.",
  E_TEACHER_CHANGE: "A teacher cannot take another's place: the gate does not pass, or another change is under way.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What a process exits with. Documented in `sluice --help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, verification: 3, locked: 4, budget: 5, interrupted: 130 } as const;

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "E_USAGE",
  "E_CONFIG",
  "E_MEMORY",
  "E_SELECTION",
  "E_DATASET_UNKNOWN",
  "E_DATASET_CONFLICT",
  "E_SOURCE_MISSING",
  "E_SOURCE_EMPTY",
  "E_EXPORT_TARGET",
]);

export interface ErrorContext {
  readonly cause?: unknown;
  /** Whether the same call may succeed later (I/O), as against never (bad data, broken invariant). */
  readonly retryable?: boolean;
  readonly [detail: string]: unknown;
}

/** The one error class. `message` says what was expected, what was found, where, and what to do. */
export class SluiceError extends Error {
  override readonly name = "SluiceError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    const { cause, retryable, ...rest } = context;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable ?? false;
    this.context = rest;
  }

  get exitCode(): number {
    if (USAGE_CODES.has(this.code)) return EXIT.usage;
    if (this.code === "E_LOCKED") return EXIT.locked;
    if (this.code === "E_VERSION_CORRUPT") return EXIT.verification;
    if (this.code === "E_BUDGET") return EXIT.budget;
    if (this.code === "E_CANCELLED") return EXIT.interrupted;
    return EXIT.failed;
  }
}

export function isSluiceError(error: unknown, code?: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && (code === undefined || error.code === code);
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the operating system, Node or zlib says of a failure */
export type SystemCode =
  | "ABORT_ERR"
  | "ERR_BUFFER_TOO_LARGE"
  | "Z_BUF_ERROR"
  | "Z_DATA_ERROR"
  | "Z_NEED_DICT"
  | "EACCES"
  | "EEXIST"
  | "EIO"
  | "EISDIR"
  | "ENAMETOOLONG"
  | "ENOENT"
  | "ENOTDIR"
  | "ENOTEMPTY"
  | "EPERM"
  | "ESRCH"
  | "ERR_SYSTEM_ERROR";

/** The code of anything thrown, ours or the operating system's; undefined where it has none. */
export function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : undefined;
}

/** What `work` gives; null where it fails with one of `codes`. Every other failure is thrown on. */
export async function orNull<T>(work: Promise<T>, ...codes: readonly (ErrorCode | SystemCode)[]): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (codes.some((code) => code === codeOf(error))) return null;
    throw error;
  }
}

/** As `orNull`, for what does not wait. */
export function orNullNow<T>(work: () => T, ...codes: readonly (ErrorCode | SystemCode)[]): T | null {
  try {
    return work();
  } catch (error) {
    if (codes.some((code) => code === codeOf(error))) return null;
    throw error;
  }
}

/**
 * Marks work that its caller awaits later, and whose failure the caller meets there. Until then Node would take the failure for
 * one that nobody sees, and end the process.
 */
export function awaitedLater<T>(work: Promise<T>): Promise<T> {
  void Promise.allSettled([work]);
  return work;
}
