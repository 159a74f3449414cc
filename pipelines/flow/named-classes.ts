import type { LoadedTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Store } from "../../connectors/store/store.js";
import { saveCard, type ArchivedCard, type Renaming } from "../../operators/archive/teacher-registry.js";
import { areInvented } from "../../schemas/class-names.js";

/** A teacher whose classes are called as the store says. */
export interface NamedTeacher extends LoadedTeacher {
  readonly card: ArchivedCard;
}

/** Classes that a note names, at most */
const NAMED = 3;

/** Tells the store what a loaded teacher's classes are called, or is told; `onNote` is given what changes, and what does not. */
export async function withStoredNames(
  store: Store,
  teacher: LoadedTeacher,
  renaming: Renaming,
  onNote: (line: string) => void,
): Promise<NamedTeacher> {
  const { card, before, passedOver } = await saveCard(store, teacher.card, renaming);
  if (before !== null) {
    onNote(`teacher: its classes have other names from now on: ${changes(before, card.labels)}; no score changes`);
  }
  if (passedOver !== null) {
    onNote(
      areInvented(passedOver)
        ? `teacher: its classes are called as ${store.place} has them: ${card.labels.slice(0, NAMED).join(", ")} …`
        : `teacher: its card has names that were replaced since, and they stay replaced: ${changes(passedOver, card.labels)}; \`sluice ingest\` with that card would take them again`,
    );
  }
  return { ...teacher, card };
}

function changes(before: readonly string[], after: readonly string[]): string {
  const changed = after.flatMap((label, index) => (label === before[index] ? [] : [{ label, index }]));
  const some = changed.slice(0, NAMED).map(({ label, index }) => `#${index} ${before[index] ?? ""} → ${label}`);
  return `${some.join(", ")}${changed.length > NAMED ? ` and ${changed.length - NAMED} more` : ""}`;
}
