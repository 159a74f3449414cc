import type { Store } from "../../connectors/store/store.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import { orNull, SluiceError } from "../../schemas/errors.js";
import type { TrainingRecord } from "../../schemas/model-record.js";
import type { OnProgress } from "../../schemas/progress.js";
import { Together } from "../flow/together.js";
import { fetchedModelFolder, namedTeacher, openScoring } from "../open/open-scoring.js";
import { openWorkspace, type Workspace } from "../open/workspace.js";
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
  /** Digest of the teacher that the new one was found better than: another one is not replaced */
  readonly over?: string | undefined;
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
  await announceTeacher(store, config.stream, next, { ...by, over: options.over });
  if ((await streamTeachers(store, config.stream)).next === null) return "stands";
  const workspace = await workspaceOrTold(options, next);
  if (typeof workspace === "string") return workspace;
  try {
    const teacher = await namedTeacher(config, next, store);
    const names = { store: workspace.store, renaming: "new" } as const;
    const scoring = await openScoring({ ...config, teacher: next.path }, options.onNote, {
      keepsStates: false,
      teacher,
      names,
    });
    try {
      const isThere = await untilWithdrawn(options, next, (stop) =>
        takeOver({ ...options, workspace, log: workspace.log, scoring, signal: stop }),
      );
      const stands = isThere && (await instateTeacher(workspace.store, config.stream, next.digest, by));
      return outcome(stands, signal, next);
    } finally {
      await scoring.close();
    }
  } finally {
    await workspace.close();
  }
}

/** How often the data folder is asked for again while another process has it, ms */
const ASK_AGAIN_MS = 5000;

/**
 * The data folder, where this process is to score; else what came of those who do. A process that has the folder may follow no teachers, or end: the folder
 * is asked for again.
 */
async function workspaceOrTold(
  { config, store, by, wait, onNote, signal }: BringInOptions,
  next: DeclaredTeacher,
): Promise<Workspace | "stands" | "announced"> {
  for (let asked = 0; ; asked++) {
    const workspace = config.kafka === undefined ? await orNull(openWorkspace(config, by), "E_LOCKED") : null;
    if (workspace !== null) return workspace;
    if (asked === 0) {
      const who = config.kafka === undefined ? "the process that has the data folder" : "scorers that run";
      onNote(`${who} will score what the log has with ${named(next)}, beside the teacher that stands`);
    }
    if (!wait) return "announced";
    const again = config.kafka === undefined ? [AbortSignal.timeout(ASK_AGAIN_MS)] : [];
    const others = { store, stream: config.stream, signal: AbortSignal.any([signal, ...again]) };
    const teachers = await teachersOnceThey((now) => now.next?.digest !== next.digest, others);
    if (teachers !== null || signal.aborted) return outcome(teachers?.stands?.digest === next.digest, signal, next);
  }
}

/** Work that ends where the teacher is taken back meanwhile. Returns what it comes to; false then. */
async function untilWithdrawn(
  { config, store, signal }: BringInOptions,
  next: DeclaredTeacher,
  work: (stop: AbortSignal) => Promise<boolean>,
): Promise<boolean> {
  const over = new AbortController();
  const all = new Together(AbortSignal.any([signal, over.signal]));
  const place = { store, stream: config.stream, signal: all.signal };
  void all.begin(
    teachersOnceThey((now) => now.next?.digest !== next.digest, place).then(() => {
      over.abort();
    }),
  );
  const worked = all.begin(
    work(all.signal).finally(() => {
      over.abort();
    }),
  );
  await all.ended();
  return worked;
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
