import type { Store } from "../../connectors/store/store.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import type { TrainingRecord } from "../../schemas/model-record.js";
import type { OnProgress } from "../../schemas/progress.js";
import { fetchedModelFolder, namedTeacher, openScoring } from "../open/open-scoring.js";
import { openWorkspace } from "../open/workspace.js";
import { announceTeacher, instateTeacher, named, streamTeachers, type ChangeBy } from "./change-teacher.js";
import { fetchModel, storeModel } from "./stored-models.js";
import { takeOver } from "./take-over.js";
import { teachersOnceThey } from "./teacher-watch.js";

export interface BringInOptions {
  readonly config: Config;
  readonly store: Store;
  /** Images a second at most, where this process scores */
  readonly perS?: number | undefined;
  /** Where others score: wait until the teacher stands */
  readonly wait: boolean;
  readonly by: string;
  readonly onNote: (line: string) => void;
  readonly onWarning: (line: string) => void;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Puts a model into the store and on this machine, as a teacher that can be declared. */
export async function declarable(
  { config, store }: Pick<BringInOptions, "config" | "store">,
  model: string,
  training: TrainingRecord | null,
): Promise<DeclaredTeacher> {
  const teacher = await loadTeacher(model);
  const digest = await storeModel(store, teacher, training);
  return {
    path: await fetchModel(store, digest, fetchedModelFolder(config.data, digest)),
    digest,
    name: teacher.card.name,
  };
}

/**
 * Announces a teacher, and brings it to stand: in this process where nobody else has the data folder's log, else those who score do it.
 * Returns what came of it: it stands, or others are at work on it. Throws E_TEACHER_CHANGE, E_CANCELLED.
 */
export async function bringIn(options: BringInOptions, next: DeclaredTeacher): Promise<"stands" | "announced"> {
  const { config, store, nowMs, signal } = options;
  const by: ChangeBy = { by: options.by, nowMs: nowMs() };
  await announceTeacher(store, config.stream, next, by);
  if ((await streamTeachers(store, config.stream)).next === null) return "stands";
  const workspace = config.kafka === undefined ? await orNull(openWorkspace(config, options.by), "E_LOCKED") : null;
  if (workspace === null) {
    const who = config.kafka === undefined ? "the process that has the data folder" : "scorers that run";
    options.onNote(`${who} will score what the log has with ${named(next)}, beside the teacher that stands`);
    if (!options.wait) return "announced";
    const others = { store, stream: config.stream, signal };
    const teachers = await teachersOnceThey((now) => now.next?.digest !== next.digest, others);
    return outcome(teachers?.stands?.digest === next.digest, signal, next);
  }
  try {
    const teacher = await namedTeacher(config, next, store);
    const names = { store: workspace.store, renaming: "new" } as const;
    const scoring = await openScoring({ ...config, teacher: next.path }, options.onNote, {
      keepsStates: false,
      teacher,
      names,
    });
    try {
      const { log } = workspace;
      const isThere = await takeOver({ ...options, workspace, log, scoring });
      const stands = isThere && (await instateTeacher(workspace.store, config.stream, next.digest, by));
      return outcome(stands, signal, next);
    } finally {
      await scoring.close();
    }
  } finally {
    await workspace.close();
  }
}

function outcome(stands: boolean, signal: AbortSignal, next: DeclaredTeacher): "stands" {
  if (stands) return "stands";
  if (signal.aborted) {
    throw new SluiceError(
      "E_CANCELLED",
      `Stopped on request before ${named(next)} stands; what it has scored is archived. The same command goes on from there.`,
      { cause: signal.reason },
    );
  }
  throw new SluiceError(
    "E_TEACHER_CHANGE",
    `Expected ${named(next)} to stand, found that it was taken back meanwhile.`,
  );
}
