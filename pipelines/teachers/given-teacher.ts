import { resolve } from "node:path";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import type { Store } from "../../connectors/store/store.js";
import { archivedTeacher } from "../rebuild.js";
import { statIfThere } from "../../connectors/stat-if-there.js";
import { teacherDigest } from "../../schemas/model-card.js";

/** The digest of a teacher that is given by a path below `folder`, or by the first digits of its digest. Throws E_TEACHER_CARD. */
export async function givenTeacher(store: Store, given: string, folder: string): Promise<string> {
  const path = resolve(folder, given);
  if ((await statIfThere(path)) !== null) return teacherDigest((await loadTeacher(path)).card);
  return (await archivedTeacher(store, given)).digest;
}
