import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import { counted } from "../../schemas/counted.js";
import { configSchema, settingsSchema, withNames, type Config } from "../../schemas/config.js";
import { DEFAULT_P, type Dataset } from "../../schemas/dataset.js";
import { messageOf, SluiceError, codeOf } from "../../schemas/errors.js";
import { withAwsDefaults } from "./aws-environment.js";
import { dropDeclared, isDeclared, treeOf, unnamedDataset, type DeclaredSettings } from "./declared-settings.js";
import { environmentOverrides, type Override, type UnknownSetting } from "./override.js";
import { problemText, settingProblems, type PlacedProblem, type SettingProblem } from "./problem.js";
import { assign, dropEmptyMappings, isMapping, laidOver, unshared } from "./setting-layers.js";
import { foundText, pathText, settingsShape } from "./settings-shape.js";
import { withPlacedFiles } from "./setting-files.js";
import { PositionedYaml } from "./yaml-positions.js";

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

/** Where settings come from that may be declared, in rising precedence; what is declared lies below all of them. */
export interface Layers {
  readonly file: boolean;
  readonly environment: boolean;
  readonly flags: boolean;
}

export const ALL_LAYERS: Layers = { file: true, environment: true, flags: true };
export const NO_LAYERS: Layers = { file: false, environment: false, flags: false };

/** Settings with everything filled in, and what of them was left open. */
export interface SettledSettings {
  readonly config: Config;
  /** The teacher was named, not taken from what is declared */
  readonly namesTeacher: boolean;
  /** Datasets whose P nobody has said: the teacher's classes decide */
  readonly openP: ReadonlySet<string>;
  /** Datasets that a layer names */
  readonly named: ReadonlySet<string>;
}

/** Where the store and the log are, and where the command is looked at. */
export type Location = Pick<Config, "data" | "stream" | "kafka" | "s3" | "metrics">;

const locationSchema = settingsSchema.pick({ data: true, stream: true, kafka: true, s3: true, metrics: true });

interface Read {
  readonly request: ConfigRequest;
  readonly path: string;
  /** `path` as the person would type it, so that an editor or terminal can follow `path:line:column` */
  readonly shown: string;
  readonly yaml: PositionedYaml | null;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What sluice.yaml, the environment and flags say, before defaults are filled in: what is absent here was not said. */
export class GivenSettings {
  readonly #read: Read;
  readonly #environment: readonly Override[];
  readonly #flags: readonly Override[];
  readonly #unknown: readonly UnknownSetting[];

  private constructor(read: Read) {
    this.#read = read;
    const environment = environmentOverrides(read.request.environment);
    const isOverride = (one: Override | UnknownSetting): one is Override => "path" in one;
    this.#environment = environment.filter(isOverride);
    this.#flags = read.request.flags.filter(isOverride);
    this.#unknown = [...environment, ...read.request.flags].filter((one): one is UnknownSetting => "message" in one);
  }

  /** Throws E_CONFIG where the file is missing or no YAML. */
  static async read(request: ConfigRequest): Promise<GivenSettings> {
    const named = request.file ?? request.environment["SLUICE_CONFIG"] ?? null;
    const path = resolve(request.folder, named ?? CONFIG_FILE);
    const text = await readIfThere(path, named !== null);
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
    return new GivenSettings({ request, path, shown, yaml, values: valuesOf(yaml, shown) });
  }

  /** The file that was read; null where there is none */
  get file(): string | null {
    return this.#read.yaml === null ? null : this.#read.path;
  }

  /** The same as it is shown to people */
  get shownFile(): string {
    return this.#read.shown;
  }

  /** Whether the file, the environment or a flag names this dataset. */
  namesDataset(name: string): boolean {
    const inFile = this.#read.values["datasets"];
    const listed = Array.isArray(inFile) && inFile.some((entry) => isMapping(entry) && entry["name"] === name);
    return (
      listed ||
      [...this.#environment, ...this.#flags].some(
        ({ path, value }) => path[0] === "datasets" && (path[2] === "name" ? value === name : path.length === 1),
      )
    );
  }

  /** Whether the stream is named, not the default's */
  get namesStream(): boolean {
    const overrides = [...this.#environment, ...this.#flags];
    return this.#read.values["stream"] !== undefined || overrides.some(({ path }) => path[0] === "stream");
  }

  /** Throws E_CONFIG where that, or anything else, is wrong. */
  get location(): Location {
    const root = this.#assigned({ ...this.#read.values }, [...this.#environment, ...this.#flags], ({ path }) =>
      ["data", "stream", "kafka", "s3", "metrics"].includes(String(path[0])),
    );
    const { data, stream, kafka, s3, metrics } = withAwsDefaults(root, this.#read.request.environment);
    const parsed = locationSchema.safeParse({ data, stream, kafka, s3, metrics });
    // Refused with its place, and with all else that is wrong.
    if (!parsed.success) return this.over(null).config;
    const { data: folder, ...rest } = withNames(parsed.data);
    return {
      ...withPlacedFiles(rest, (...setting) => this.#folderOf(...setting)),
      data: resolve(this.#folderOf("data"), folder),
    };
  }

  /**
   * All settings: what is declared, and over it what the layers say of it. What cannot be declared (engine, places, log)
   * comes from every layer. Throws E_CONFIG with every problem at once, each with its place.
   */
  over(declared: DeclaredSettings | null, layers: Layers = ALL_LAYERS): SettledSettings {
    const { values } = this.#read;
    const root = unshared(values) as Record<string, unknown>;
    if (!layers.file && declared?.settings != null) dropDeclared(root);
    const known = new Map((declared?.datasets ?? []).map(({ dataset }) => [dataset.name, dataset]));
    const listed = this.#listedDatasets(root, layers, [...known.keys()], unnamedDataset(declared));
    root["datasets"] = listed;
    const problems: PlacedProblem[] = this.#unknown.map(({ from, message }) => elsewhere(from, "", message));
    const counted = [
      ...this.#environment.filter(({ path }) => layers.environment || !isDeclared(path, declared)),
      ...this.#flags.filter(({ path }) => layers.flags || !isDeclared(path, declared)),
    ];
    const declaredAt = (name: unknown): Dataset | undefined => known.get(String(name));
    for (const { path, value, from } of counted) {
      const fault = assign(root, path, value, (at) => seedFrom(root, at, declaredAt));
      if (fault !== null) problems.push(elsewhere(from, pathText(path), fault));
    }
    const namesTeacher = root["teacher"] !== undefined;
    if (declared !== null && !this.namesStream) root["stream"] = declared.stream;
    const named = new Set<string>();
    const openP = new Set<string>();
    const laid = laidOver(root, treeOf(declared?.settings ?? null), settingsShape()) as Record<string, unknown>;
    if (Array.isArray(laid["datasets"])) {
      laid["datasets"] = (laid["datasets"] as unknown[]).map((entry) => {
        if (!isMapping(entry)) return entry;
        const name = String(entry["name"]);
        const before = declaredAt(name);
        if (before === undefined || Object.keys(entry).length > 1) named.add(name);
        const select = entry["select"];
        if (before === undefined && !(isMapping(select) && select["p"] !== undefined)) openP.add(name);
        return before === undefined ? entry : laidOver(entry, before, settingsShape(), ["datasets", 0]);
      });
    }
    const config = this.#validated(laid, counted, problems, openP);
    const ownSources = declared?.settings?.sources ?? [];
    if (ownSources.length > 0) config.ownSources = ownSources;
    return { config, namesTeacher, openP, named };
  }

  /** The file's datasets first, as a flag's number counts them, then those that only the store knows. */
  #listedDatasets(root: Record<string, unknown>, layers: Layers, known: readonly string[], unnamed: string): unknown {
    const own = root["datasets"];
    if (own !== undefined && !Array.isArray(own)) return own;
    // A name that comes from outside makes a list of its own.
    const isNamed = [...this.#environment, ...this.#flags].some(
      ({ path }) => path[0] === "datasets" && path[2] === "name",
    );
    const first = own === undefined && isNamed ? [{ name: "default" }] : ((own as unknown[] | undefined) ?? []);
    const entries = first.map((entry) => (layers.file || !isMapping(entry) ? entry : { name: entry["name"] }));
    const names = new Set(first.map((entry) => (isMapping(entry) ? entry["name"] : null)));
    const rest = known.filter((name) => !names.has(name) && !(own === undefined && isNamed)).map((name) => ({ name }));
    const all = [...entries, ...rest];
    return all.length > 0 || own !== undefined ? all : [{ name: unnamed }];
  }

  #validated(
    root: Record<string, unknown>,
    overrides: readonly Override[],
    problems: PlacedProblem[],
    openP: ReadonlySet<string>,
  ): Config {
    const checked = configSchema.safeParse(withLeastP(withAwsDefaults(root, this.#read.request.environment), openP));
    if (!checked.success) {
      for (const problem of settingProblems(checked.error.issues, root)) {
        problems.push(this.#placed(problem, overrides));
      }
    }
    const dropped = protoPath(root);
    if (dropped !== null) {
      const message =
        'a class of this name is named by its number here, such as "#1": found __proto__, which would be lost';
      problems.push(elsewhere("configuration", pathText(dropped), message));
    }
    if (!checked.success || problems.length > 0) throw refusal(problems);
    const { data, teacher, ...rest } = checked.data;
    const datasets = rest.datasets.map((dataset) =>
      openP.has(dataset.name) ? { ...dataset, select: { ...dataset.select, p: DEFAULT_P } } : dataset,
    );
    const config: Config = {
      ...withPlacedFiles(rest, (...setting) => this.#folderOf(...setting)),
      datasets,
      data: resolve(this.#folderOf("data"), data),
    };
    if (teacher !== undefined) config.teacher = resolve(this.#folderOf("teacher"), teacher);
    const { allow } = config.sources;
    if (allow !== undefined) {
      const folder = this.#folderOf("sources");
      config.sources = { allow: { ...allow, roots: allow.roots.map((root) => resolve(folder, root)) } };
    }
    return config;
  }

  /** Where a setting's relative path begins */
  #folderOf(...setting: string[]): string {
    const { request, yaml, path } = this.#read;
    const isOverridden = [...this.#environment, ...this.#flags].some((override) =>
      setting.every((step, depth) => depth >= override.path.length || override.path[depth] === step),
    );
    return isOverridden || yaml === null ? request.folder : dirname(path);
  }

  #assigned(
    root: Record<string, unknown>,
    overrides: readonly Override[],
    wanted: (override: Override) => boolean,
  ): Record<string, unknown> {
    const copy = unshared(root) as Record<string, unknown>;
    for (const override of overrides) if (wanted(override)) assign(copy, override.path, override.value);
    return copy;
  }

  #placed(problem: SettingProblem, overrides: readonly Override[]): PlacedProblem {
    const { yaml, shown } = this.#read;
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
}

/** What is declared at a place below a dataset, for a setting that is changed in part. */
function seedFrom(
  root: Record<string, unknown>,
  [list, at, ...below]: Override["path"],
  declaredAt: (name: unknown) => Dataset | undefined,
): unknown {
  if (list !== "datasets" || typeof at !== "number") return undefined;
  const entry = (root["datasets"] as unknown[])[at];
  let value: unknown = isMapping(entry) ? declaredAt(entry["name"]) : undefined;
  for (const step of below) value = isMapping(value) ? value[step] : undefined;
  return value;
}

/** An open P cannot contradict anything before it is chosen. */
function withLeastP(root: Record<string, unknown>, openP: ReadonlySet<string>): Record<string, unknown> {
  if (!Array.isArray(root["datasets"])) return root;
  const datasets = (root["datasets"] as unknown[]).map((entry) => {
    if (!isMapping(entry) || !openP.has(String(entry["name"]))) return entry;
    const select = entry["select"] ?? {};
    return isMapping(select) ? { ...entry, select: { ...select, p: 1 } } : entry;
  });
  return { ...root, datasets };
}

async function readIfThere(path: string, required: boolean): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const absent = codeOf(error) === "ENOENT";
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

/** The file's own values, or none. */
function valuesOf(yaml: PositionedYaml | null, shown: string): Record<string, unknown> {
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
  return root;
}

function elsewhere(where: string, setting: string, message: string): PlacedProblem {
  return { where, setting, message, excerpt: null, line: null, column: null };
}

function refusal(problems: readonly PlacedProblem[]): SluiceError {
  const sorted = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  const count = counted(sorted.length, "problem");
  return new SluiceError("E_CONFIG", `${count} in the configuration\n${sorted.map(problemText).join("\n")}`, {
    problems: sorted.map(({ where, setting, message, line, column }) => ({ where, setting, message, line, column })),
  });
}

function shownPath(folder: string, path: string): string {
  const short = relative(folder, path);
  return short.startsWith("..") || isAbsolute(short) ? path : short;
}

/** Where a member is called `__proto__`, which schemas pass over without a word; null where none is. */
function protoPath(value: unknown): (string | number)[] | null {
  if (typeof value !== "object" || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    if (name === "__proto__") return [name];
    const below = protoPath(inner);
    if (below !== null) return [name, ...below];
  }
  return null;
}
