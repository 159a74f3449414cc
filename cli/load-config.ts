import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import { configSchema, type Config } from "../schemas/config.js";
import { messageOf, SluiceError } from "../schemas/errors.js";
import { environmentOverrides, type Override, type UnknownSetting } from "./config/override.js";
import { problemText, settingProblems, type PlacedProblem, type SettingProblem } from "./config/problem.js";
import { foundText, pathText, propertiesOf, settingsShape, type Path, type Shape } from "./config/settings-shape.js";
import { PositionedYaml } from "./config/yaml-positions.js";

export const CONFIG_FILE = "sluice.yaml";

export interface ConfigRequest {
  /** `--config`, or null to take `sluice.yaml` where there is one */
  readonly file: string | null;
  /** Where relative paths on the command line and in the environment begin */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** From flags; they win over the environment, which wins over the file */
  readonly flags: readonly (Override | UnknownSetting)[];
}

export interface LoadedConfig {
  /** Every setting, defaults filled in; `data` and `teacher` are absolute paths. */
  readonly config: Config;
  /** The file that was read; null where there is none */
  readonly file: string | null;
}

/**
 * One validated object from sluice.yaml, the environment and flags, in rising precedence.
 * Throws E_CONFIG with every problem at once, each with its place.
 */
export async function loadConfig(request: ConfigRequest): Promise<LoadedConfig> {
  const named = request.file ?? request.environment["SLUICE_CONFIG"] ?? null;
  const path = resolve(request.folder, named ?? CONFIG_FILE);
  const text = await readIfThere(path, named !== null);
  // As the person would type it, so that an editor or terminal can follow `path:line:column`.
  const shown = shownPath(request.folder, path);
  const yaml = text === null ? null : new PositionedYaml(text);

  const broken = yaml?.syntaxProblems() ?? [];
  if (yaml !== null && broken.length > 0) {
    throw refusal(
      broken.map(({ message, ...position }) => ({
        where: `${shown}:${position.line}:${position.column}`,
        setting: "",
        message: `not valid YAML: ${message}`,
        excerpt: yaml.excerpt(position),
        ...position,
      })),
    );
  }

  const given = [...environmentOverrides(request.environment), ...request.flags];
  const overrides = given.filter((one): one is Override => "path" in one);
  const problems: PlacedProblem[] = given
    .filter((one): one is UnknownSetting => "message" in one)
    .map(({ from, message }) => elsewhere(from, "", message));

  const root = startingValue(yaml, shown, overrides);
  for (const { path: at, value, from } of overrides) {
    const fault = assign(root, at, value);
    if (fault !== null) problems.push(elsewhere(from, pathText(at), fault));
  }

  const checked = configSchema.safeParse(root);
  if (!checked.success) {
    for (const problem of settingProblems(checked.error.issues, root)) {
      problems.push(placed(problem, overrides, yaml, shown));
    }
  }
  if (!checked.success || problems.length > 0) throw refusal(problems);

  const folderOf = (setting: "data" | "teacher"): string =>
    overrides.some((override) => override.path[0] === setting) || yaml === null ? request.folder : dirname(path);
  const { data, teacher, ...rest } = checked.data;
  const config: Config = { ...rest, data: resolve(folderOf("data"), data) };
  if (teacher !== undefined) config.teacher = resolve(folderOf("teacher"), teacher);
  return { config, file: text === null ? null : path };
}

async function readIfThere(path: string, required: boolean): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (absent && !required) return null;
    throw new SluiceError(
      "E_CONFIG",
      absent
        ? `Expected a configuration file at ${path}, found none. Name another with --config, or write one with \`sluice init\`.`
        : `Expected a readable configuration file at ${path}: ${messageOf(error)}.`,
      { cause: error, file: path },
    );
  }
}

/** The file's own values, or none; with one dataset, where a flag or variable sets something in a list that is not there. */
function startingValue(
  yaml: PositionedYaml | null,
  shown: string,
  overrides: readonly Override[],
): Record<string, unknown> {
  let value: unknown;
  try {
    value = yaml?.value() ?? {};
  } catch (error) {
    throw new SluiceError("E_CONFIG", `Expected a configuration in ${shown}, found ${messageOf(error)}.`, {
      cause: error,
    });
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw refusal([elsewhere(`${shown}:1:1`, "", `expected a mapping (name: value), found ${foundText(value)}`)]);
  }
  const root = unshared(value) as Record<string, unknown>;
  dropEmptyMappings(root, settingsShape());
  if (overrides.some((one) => one.path[0] === "datasets" && one.path.length > 1)) {
    root["datasets"] ??= [{ name: "default" }];
  }
  return root;
}

/** A copy in which no two places share a value, as a YAML alias and its anchor do: a flag sets the one that it names. */
function unshared(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unshared);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unshared(inner)]));
}

/** `engine:` with every line below it commented out says nothing, as if it were not there. */
function dropEmptyMappings(values: Record<string, unknown>, shape: Shape): void {
  for (const [name, property] of Object.entries(propertiesOf(shape))) {
    const value = values[name];
    if (property.type !== "object") continue;
    if (value === null) Reflect.deleteProperty(values, name);
    else if (typeof value === "object") dropEmptyMappings(value as Record<string, unknown>, property);
  }
}

/** Sets `value` at `path`; returns what is in the way, or null. What is there but no mapping is left to the schema. */
function assign(root: Record<string, unknown>, path: Path, value: unknown): string | null {
  let place: Record<string | number, unknown> | unknown[] = root;
  for (const [depth, step] of path.entries()) {
    if (Array.isArray(place) && (typeof step !== "number" || step >= place.length)) {
      const list = pathText(path.slice(0, depth));
      return `expected one of the ${place.length} declared in ${list} (counted from 0), found ${step}`;
    }
    const slots = place as Record<string | number, unknown>;
    if (depth === path.length - 1) {
      slots[step] = value;
      return null;
    }
    slots[step] ??= {};
    const next = slots[step];
    if (typeof next !== "object" || next === null) return null;
    place = next as Record<string, unknown> | unknown[];
  }
  return null;
}

function placed(
  problem: SettingProblem,
  overrides: readonly Override[],
  yaml: PositionedYaml | null,
  shown: string,
): PlacedProblem {
  const setting = pathText(problem.path);
  const origin = overrides.findLast(({ path }) => path.every((step, depth) => step === problem.path[depth]));
  if (origin !== undefined) return elsewhere(origin.from, setting, problem.message);
  if (yaml === null) return elsewhere("configuration", setting, problem.message);
  const position = yaml.locate(problem.path, problem.at);
  return {
    where: `${shown}:${position.line}:${position.column}`,
    setting,
    message: problem.message,
    excerpt: yaml.excerpt(position),
    ...position,
  };
}

function elsewhere(where: string, setting: string, message: string): PlacedProblem {
  return { where, setting, message, excerpt: null, line: null, column: null };
}

function refusal(problems: readonly PlacedProblem[]): SluiceError {
  const sorted = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  const count = sorted.length === 1 ? "1 problem" : `${sorted.length} problems`;
  return new SluiceError("E_CONFIG", `${count} in the configuration\n${sorted.map(problemText).join("\n")}`, {
    problems: sorted.map(({ where, setting, message, line, column }) => ({ where, setting, message, line, column })),
  });
}

function shownPath(folder: string, path: string): string {
  const short = relative(folder, path);
  return short.startsWith("..") || isAbsolute(short) ? path : short;
}
