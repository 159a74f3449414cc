import type { TakeOverOptions } from "../pipelines/teachers/take-over.js";
import type { Config } from "../schemas/config.js";
import type { DeclaredTeacher } from "../schemas/declaration.js";
import type { OpenedStore } from "./existing-store.js";

export interface FollowOptions {
  readonly config: Config;
  readonly store: OpenedStore;
  /** Digest of the teacher that this process works with */
  readonly stands: string;
  /** What a process that scores does so with, beside the one that stands; null: it does not score */
  readonly beside: Pick<TakeOverOptions, "workspace" | "log" | "onProgress" | "yieldTo"> | null;
  readonly note: (line: string) => void;
  readonly warn: (line: string) => void;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/**
 * Looks which teacher stands, until the signal aborts or it is another one: returns whether it is. Where one is to follow, a process that
 * scores does so with it as well, and makes it the one that stands once it has all that the log has.
 */
export async function followTeachers(options: FollowOptions): Promise<boolean> {
  const { config, store, stands, beside, note, signal } = options;
  const { teachersOnceThey } = await import("../pipelines/teachers/teacher-watch.js");
  const { named } = await import("../pipelines/teachers/change-teacher.js");
  const place = { store, stream: config.stream, signal };
  for (;;) {
    const teachers = await teachersOnceThey(
      (now) => now.stands?.digest !== stands || (beside !== null && now.next !== null),
      place,
    );
    if (teachers === null) return false;
    if (teachers.stands !== null && teachers.stands.digest !== stands) {
      note(`teacher ${named(teachers.stands)} stands now`);
      return true;
    }
    if (teachers.next !== null) await scoreBeside(options, teachers.next);
  }
}

/** Scores with the teacher that is to follow, until it does, or is not to any more. */
async function scoreBeside(
  { config, store, beside, note, warn, signal, nowMs }: FollowOptions,
  next: DeclaredTeacher,
): Promise<void> {
  if (beside === null) return;
  const { teachersOnceThey } = await import("../pipelines/teachers/teacher-watch.js");
  const { instateTeacher, named } = await import("../pipelines/teachers/change-teacher.js");
  const { takeOver } = await import("../pipelines/teachers/take-over.js");
  const { namedTeacher, openScoring } = await import("../pipelines/open/open-scoring.js");
  const { Together } = await import("../pipelines/flow/together.js");
  const { stream } = config;
  note(`teacher ${named(next)} is to follow: it scores what the log has, beside the one that stands`);
  const over = new AbortController();
  const all = new Together(AbortSignal.any([signal, over.signal]));
  const isOther = teachersOnceThey((now) => now.next?.digest !== next.digest, { store, stream, signal: all.signal });
  void all.begin(
    isOther.then(() => {
      over.abort();
    }),
  );
  const work = async (): Promise<void> => {
    const teacher = await namedTeacher(config, next, store);
    const scoring = await openScoring({ ...config, teacher: next.path }, note, {
      keepsStates: false,
      teacher,
      names: { store, renaming: "new" },
    });
    try {
      const isThere = await takeOver({ ...beside, scoring, onWarning: warn, signal: all.signal, nowMs });
      if (isThere) await instateTeacher(store, stream, next.digest, { by: "sluice run", nowMs: nowMs() });
    } finally {
      await scoring.close();
    }
    over.abort();
  };
  void all.begin(work());
  await all.ended();
}

/** Work that goes on with one teacher, and is stopped where `follow` says that another one stands. */
export async function withTeachers<T>(
  follow: (signal: AbortSignal) => Promise<boolean>,
  stop: AbortSignal,
  work: (stop: AbortSignal) => Promise<T>,
): Promise<{ readonly result: T; readonly changed: boolean }> {
  const { Together } = await import("../pipelines/flow/together.js");
  const change = new AbortController();
  const over = new AbortController();
  const all = new Together(AbortSignal.any([stop, change.signal]));
  const following = async (): Promise<boolean> => {
    const changed = await follow(AbortSignal.any([all.signal, over.signal]));
    if (changed) change.abort();
    return changed;
  };
  const changed = all.begin(following());
  const worked = all.begin(
    work(all.signal).finally(() => {
      over.abort();
    }),
  );
  await all.ended();
  return { result: await worked, changed: await changed };
}
