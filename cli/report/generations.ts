import type { Generation } from "../../pipelines/loop.js";
import { tableText } from "../wording.js";

export function generationText({ number, version, verdict, outcome }: Generation): string {
  const what = outcome.promoted ? "it stands now" : "the teacher stays";
  return `generation ${number}, trained on version ${version.dataset}/${version.number}: ${percent(verdict.accuracy)} right, its teacher ${percent(verdict.teacherAccuracy)}; ${what}`;
}

/** All generations of a run; `stuck`: why there are no more. */
export function generationsText(generations: readonly Generation[], stuck: string | null): string {
  const table = tableText(
    ["generation", "version", "student", "right", "teacher", "better by", "p", ""],
    generations.map(({ number, version, model, verdict, outcome }) => [
      number,
      `${version.dataset}/${version.number}`,
      model.model.slice(0, 12),
      percent(verdict.accuracy),
      percent(verdict.teacherAccuracy),
      `${points(verdict.accuracy - verdict.teacherAccuracy)} (${points(verdict.low)} to ${points(verdict.high)})`,
      verdict.p.toPrecision(2),
      outcome.promoted ? "took over" : "not passed",
    ]),
  );
  const passed = generations.some(({ outcome }) => outcome.promoted);
  return [
    ...(generations.length === 0 ? [] : [table]),
    ...(generations.length > 0 && !passed
      ? ["No student passed the gate: the teacher that stood goes on standing."]
      : []),
    ...(stuck === null ? [] : [stuck]),
  ].join("\n");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function points(share: number): string {
  return `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)}`;
}
