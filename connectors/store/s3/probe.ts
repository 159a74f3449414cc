import { SluiceError } from "../../../schemas/errors.js";

/** One conditional write, sent once and never retried, so that its outcome is that of this request. */
export type OneShot = (key: string, bytes: Buffer) => Promise<"created" | "exists" | "unknown">;

/**
 * Eight writers at once, sixteen times. A server that checks and then writes let two of eight win in about four of ten
 * rounds (measured on one that does so), so that all sixteen pass by chance once in 3,000 openings.
 */
const WRITERS = 8;
const ROUNDS = 16;
/** With those that a failing request made worthless */
const MOST_ROUNDS = 64;

/**
 * Whether create-if-absent has one winner where several race for a key. Throws E_STORE_CONDITIONAL where it has not. Keys
 * start with `prefix`; the caller removes them. `answers` returns once the store answers, or throws.
 */
export async function probeConditionalWrites(
  prefix: string,
  place: string,
  put: OneShot,
  answers: () => Promise<void>,
): Promise<void> {
  for (let round = 0, proved = 0; proved < ROUNDS; round++) {
    if (round === MOST_ROUNDS) {
      throw new SluiceError(
        "E_STORE_IO",
        `Expected ${place} to answer ${WRITERS} small writes at once, found that ${round - proved} times of ${round} some failed.`,
        { retryable: true },
      );
    }
    const key = `${prefix}${round}`;
    const outcomes = await Promise.all(
      Array.from({ length: WRITERS }, (_, writer) => put(key, Buffer.from(`writer ${writer}`))),
    );
    const winners = outcomes.filter((outcome) => outcome === "created").length;
    const unknown = outcomes.filter((outcome) => outcome === "unknown").length;
    if (winners > 1 || (winners === 0 && unknown === 0)) {
      throw new SluiceError(
        "E_STORE_CONDITIONAL",
        `Expected one of ${WRITERS} writers that race to create an object in ${place} to win, found ${winners}. The store does not enforce "If-None-Match: *": nothing can be committed there safely. Use a store that does (Amazon S3, MinIO, versitygw 1.8 or newer).`,
      );
    }
    if (unknown > 0) {
      // Says nothing: a winner's answer may have been lost.
      await answers();
      continue;
    }
    proved++;
    if ((await put(key, Buffer.from("late"))) === "created") {
      throw new SluiceError(
        "E_STORE_CONDITIONAL",
        `Expected ${place} to refuse "If-None-Match: *" for an object that is there, found that it replaced it: nothing can be committed there safely. Use a store that enforces it (Amazon S3, MinIO, versitygw 1.8 or newer).`,
      );
    }
  }
}
