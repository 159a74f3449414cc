import type { ClassChanges, ClassChangesOptions } from "../../pipelines/teachers/class-changes.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import type { OpenedStore } from "../existing-store.js";
import type { Invocation } from "../invocation.js";
import { classChangesText } from "../report/class-changes.js";

export interface OtherClassesOf {
  readonly config: Config;
  readonly store: OpenedStore;
  /** The teacher that stands */
  readonly before: DeclaredTeacher | null;
  readonly teacher: DeclaredTeacher;
  /** What its classes are called */
  readonly labels: readonly string[];
  /** By default it is opened beside its writer */
  readonly log?: NonNullable<ClassChangesOptions["log"]>;
}

/** What a teacher with more classes than the one that stands leaves to be scored again; null where there is nothing to say. */
export async function otherClasses(of: OtherClassesOf): Promise<ClassChanges | null> {
  const { config, store, before, teacher, labels, log } = of;
  const { classChanges } = await import("../../pipelines/teachers/class-changes.js");
  const asked = { store, stream: config.stream, before, teacher: { ...teacher, labels } };
  if (log !== undefined || before === null || before.digest === teacher.digest)
    return classChanges({ ...asked, log: log ?? null });
  if (config.kafka === undefined) {
    const { withLog } = await import("../../pipelines/open/folder-holder.js");
    return (
      (await withLog(config, (found) => classChanges({ ...asked, log: found }))) ??
      classChanges({ ...asked, log: null })
    );
  }
  const { orNull } = await import("../../schemas/errors.js");
  const { openStreamKafka } = await import("../../pipelines/open/open-kafka.js");
  // Without the cluster it is not known what of the log is there.
  const found = await orNull(openStreamKafka({ stream: config.stream, kafka: config.kafka }, store), "E_LOG_IO");
  try {
    return await classChanges({ ...asked, log: found });
  } finally {
    await found?.close();
  }
}

/** How a call goes on from there. `scores`: it scores what is missing itself; `isDeclared`: the teacher stands, or will by then. */
export function otherClassesText(
  run: Invocation,
  changes: ClassChanges,
  { path, scores, isDeclared }: { readonly path: string; readonly scores: boolean; readonly isDeclared: boolean },
): string[] {
  const by = isDeclared ? [] : ["--teacher-digest", changes.teacher.digest.slice(0, 12)];
  // What scores for all windows makes the newest version itself, or says how.
  const datasets = scores ? changes.datasets.filter(({ windowsMs }) => windowsMs.length > 0) : changes.datasets;
  return classChangesText(
    { ...changes, datasets },
    {
      replay: scores ? null : run.hint("replay", ...(isDeclared ? [] : ["--teacher", path])),
      rebuild: (dataset, window) =>
        run.hint("rebuild", dataset, ...(window === undefined ? [] : ["--window", window]), ...by),
    },
  );
}
