import { configSchema, type Config } from "../schemas/config.js";
import type { Dataset } from "../schemas/dataset.js";
import { SluiceError } from "../schemas/errors.js";
import { assignmentOverride } from "./config/override.js";
import { problemText, settingProblems } from "./config/problem.js";
import { assign, unshared } from "./config/setting-layers.js";
import { pathText, propertiesOf, shapeAt } from "./config/settings-shape.js";

/** A dataset with other settings, and whether its P was left open. */
export interface AssignedDataset {
  readonly dataset: Dataset;
  readonly openP: boolean;
}

/**
 * A dataset as it is declared (null: it is not), with settings as they were typed: `k=500`, `select.k=500`, `trigger=` for the
 * default. `archive` is what it must agree with. Throws E_CONFIG, E_USAGE.
 */
export function assignedDataset(
  name: string,
  standing: Dataset | null,
  assignments: readonly string[],
  archive: Config["archive"],
): AssignedDataset {
  const own = unshared(standing ?? { name }) as { select?: Record<string, unknown> } & Record<string, unknown>;
  own.select ??= {};
  const root = { datasets: [own] };
  const faults: string[] = [];
  for (const assignment of assignments) {
    const [setting, text] = splitAssignment(assignment);
    if (text === "") {
      const [first = "", second = ""] = setting;
      Reflect.deleteProperty(first === "select" ? own.select : own, first === "select" ? second : first);
      continue;
    }
    const override = assignmentOverride(`datasets.0.${setting.join(".")}=${text}`);
    const fault = "path" in override ? assign(root, override.path, override.value) : override.message;
    if (fault !== null) faults.push(`${assignment}: ${fault}`);
  }
  const openP = own.select["p"] === undefined;
  // Chosen by the teacher's classes, later.
  if (openP) own.select["p"] = 1;
  const checked = configSchema.safeParse({ archive, ...root });
  if (checked.success && faults.length === 0) return { dataset: checked.data.datasets[0]!, openP };
  for (const { path, message } of checked.success ? [] : settingProblems(checked.error.issues, root)) {
    const where = path[1] === 0 ? pathText(path.slice(2)) : pathText(path);
    faults.push(problemText({ where, setting: "", message, excerpt: null, line: null, column: null }));
  }
  throw new SluiceError("E_CONFIG", `Expected settings of dataset "${name}", found:\n${faults.join("\n")}`, { faults });
}

/** The place below the dataset, and the value: a parameter of its selection may go without `select`. */
function splitAssignment(assignment: string): [setting: string[], text: string] {
  const equals = assignment.indexOf("=");
  if (equals <= 0) throw new SluiceError("E_USAGE", `Expected setting=value, such as k=500, found "${assignment}".`);
  const path = assignment.slice(0, equals).split(".");
  const [first = ""] = path;
  if (first === "name") throw new SluiceError("E_USAGE", "Expected another setting than the name: a dataset keeps it.");
  const members = (...at: (string | number)[]): string[] => Object.keys(propertiesOf(shapeAt(at)!));
  // What people say of images, or the label map of the selection: the value tells.
  if (assignment.startsWith("labels=") && /^\s*\{/.test(assignment.slice(equals + 1)))
    return [["select", ...path], assignment.slice(equals + 1)];
  if (first === "labels" && path.length > 1) return [["select", ...path], assignment.slice(equals + 1)];
  const isSelection = !members("datasets", 0).includes(first) && members("datasets", 0, "select").includes(first);
  return [isSelection ? ["select", ...path] : path, assignment.slice(equals + 1)];
}
