import type { StudyPlan } from "./run-study.js";
import type { StudyBase } from "./study-arms.js";
import { STUDY_NAMES, studyOf } from "./study-grids.js";

/** The plan of a study by its name, or of all. Throws E_USAGE for a name that is none. */
export function plansOf(name: string, base: StudyBase): StudyPlan[] {
  return (name === "all" ? STUDY_NAMES : [name]).map((one) => {
    const { name: known, grid, arms } = studyOf(one, base);
    return { name: known, question: grid.question, axis: grid.axis, arms };
  });
}
