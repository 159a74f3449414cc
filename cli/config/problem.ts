import type { z } from "zod";
import { nearest } from "./nearest.js";
import { isSecret } from "./secret-settings.js";
import { expectationText, formsFor, foundText, propertiesOf, shapeAt, type Path } from "./settings-shape.js";

type Issue = z.core.$ZodIssue;

/** One thing wrong with a setting, before it is known where the setting came from. */
export interface SettingProblem {
  readonly path: Path;
  /** Whether the name itself is wrong, rather than its value */
  readonly at: "name" | "value";
  readonly message: string;
}

/** Words for what the schema found wrong with `value`; one problem an unknown name. */
export function settingProblems(issues: readonly Issue[], value: unknown): SettingProblem[] {
  return issues.flatMap((issue) => problemsOf(issue, value));
}

function problemsOf(issue: Issue, root: unknown): SettingProblem[] {
  const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
  const value = valueAt(root, path);
  const shape = shapeAt(path);
  const found = value !== undefined && isSecret(path) ? `a ${typeof value} that is not shown` : foundText(value);
  if (issue.code === "unrecognized_keys") {
    const known = shape === null ? [] : Object.keys(propertiesOf(shape));
    return issue.keys.map((name) => {
      const likely = nearest(name, known);
      const hint = likely === null ? `; known here: ${known.join(", ")}` : `, did you mean ${likely}?`;
      return { path: [...path, name], at: "name", message: `no such setting${hint}` };
    });
  }
  if (issue.code === "invalid_union") {
    const near = nearestChoice(issue.errors);
    if (near !== null) {
      return near.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, root));
    }
  }
  // Texts written for a setting already say what was expected; the library's own are replaced by words from its shape.
  if (issue.code === "custom") return [{ path, at: "value", message: issue.message }];
  const own = /^expected /.test(issue.message) ? issue.message : null;
  let expected = own ?? (shape === null ? issue.message : `expected ${expectationText(formsFor(shape, value))}`);
  if (issue.code === "too_small" && issue.origin === "string") expected = "expected text that is not empty";
  return [{ path, at: "value", message: `${expected}, found ${found}${quoteHint(issue, value)}` }];
}

/** YAML reads `7`, `1e3` and `true` as numbers and truth values, also where a class is called so. */
function quoteHint(issue: Issue, value: unknown): string {
  if (issue.code !== "invalid_type" || issue.expected !== "string") return "";
  return typeof value === "number" || typeof value === "boolean" ? "; in quotes it is text" : "";
}

/** Of a choice, what is wrong by the form that was most likely meant; null where the value has none of the forms. */
function nearestChoice(choices: readonly (readonly Issue[])[]): readonly Issue[] | null {
  const ofThatForm = choices.filter(
    (issues) => !issues.some(({ code, path }) => code === "invalid_type" && path.length === 0),
  );
  return ofThatForm.toSorted((a, b) => a.length - b.length)[0] ?? null;
}

export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** A problem with its place: `sluice.yaml:12:5 datasets[0].select.k: expected a whole number above 0, found 0`. */
export interface PlacedProblem {
  /** `sluice.yaml:12:5`, `SLUICE_ENGINE__BATCH`, `--teacher` */
  readonly where: string;
  /** Empty for what concerns the file as a whole */
  readonly setting: string;
  readonly message: string;
  /** The line with a mark under the column */
  readonly excerpt: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

export function problemText(problem: PlacedProblem): string {
  const line = `${problem.where}${problem.setting === "" ? "" : ` ${problem.setting}`}: ${problem.message}`;
  return problem.excerpt === null ? line : `${line}\n${problem.excerpt}`;
}
