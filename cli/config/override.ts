import { parse } from "yaml";
import { SluiceError } from "../../schemas/errors.js";
import { nearest } from "./nearest.js";
import { isSecret, secretIn } from "./secret-settings.js";
import { freeOf, itemOf, pathText, propertiesOf, shapeAt, type Path, type Shape } from "./settings-shape.js";

/** One setting given by an environment variable or a flag. */
export interface Override {
  readonly path: Path;
  readonly value: unknown;
  /** The variable or flag, for messages: `SLUICE_ENGINE__BATCH`, `--teacher` */
  readonly from: string;
}

/** A variable or flag that names no setting. */
export interface UnknownSetting {
  readonly from: string;
  readonly message: string;
}

const PREFIX = "SLUICE_";

/** Variables that are no settings: read by the command itself, or by the repository's own scripts. */
const RESERVED = /^SLUICE_(CONFIG|DEBUG|BUILD|CACHE|PYTHON|TFJS_NATIVE)$/;

/**
 * Settings from the environment: `SLUICE_TEACHER`, `SLUICE_ENGINE__MAX_DELAY_MS`, `SLUICE_DATASETS__0__SELECT__K`.
 * Two underscores go one level down; an empty variable counts as not set, and one that resembles
 * no setting is not ours. A line's end behind a value comes of the file that it was taken from, and is left off.
 */
export function environmentOverrides(
  environment: Readonly<Record<string, string | undefined>>,
): (Override | UnknownSetting)[] {
  const found: (Override | UnknownSetting)[] = [];
  for (const name of Object.keys(environment).sort()) {
    const text = environment[name]?.replace(/[\r\n]+$/, "");
    if (!name.startsWith(PREFIX) || RESERVED.test(name) || text === undefined || text === "") continue;
    const steps = name.slice(PREFIX.length).split("__");
    const { path, unknownAt } = resolve(steps, plainName);
    if (unknownAt === null) {
      found.push({ path, value: valueOf(text, shapeAt(path)), from: name });
      continue;
    }
    const likely = nearest(plainName(steps[unknownAt]!), namesAt(path));
    // Others may use the prefix for purposes of their own; a slip, or a path that leads nowhere, is no such purpose.
    if (likely === null && steps.length === 1) continue;
    const suggestion =
      likely === null
        ? ""
        : `, did you mean ${PREFIX}${[...steps.slice(0, unknownAt), variableName(likely), ...steps.slice(unknownAt + 1)].join("__")}?`;
    found.push({ from: name, message: `no such setting${suggestion || `: ${knownText(path)}`}` });
  }
  return found;
}

/** One `--set path=value`: `engine.batch=32`, `datasets[0].select.k=500` (or `datasets.0.select.k`). */
export function assignmentOverride(assignment: string): Override | UnknownSetting {
  const equals = assignment.indexOf("=");
  if (equals <= 0) return { from: `--set ${assignment}`, message: "expected path=value, such as engine.batch=32" };
  const name = assignment.slice(0, equals);
  const steps = name.replace(/\[(\d+)\]/g, ".$1").split(".");
  const from = isSecret(steps) ? `--set ${name}=…` : `--set ${assignment}`;
  const { path, unknownAt } = resolve(steps, (name) => name);
  if (unknownAt === null) return { path, value: valueOf(assignment.slice(equals + 1), shapeAt(path)), from };
  const likely = nearest(steps[unknownAt]!, namesAt(path));
  const full = likely === null ? "" : pathText([...path, likely]);
  return {
    from,
    message: `no such setting${likely === null ? `: ${knownText(path)}` : `, did you mean ${full}?`}`,
  };
}

/** Other users of a machine see its command lines. Throws E_USAGE where `--set` gives a secret. */
export function assertNoSecret(assignment: string): void {
  const given = assignmentOverride(assignment);
  const path = "message" in given ? null : secretIn(given.path, given.value);
  if (path === null) return;
  const variable = `${PREFIX}${path.map((step) => variableName(String(step))).join("__")}`;
  throw new SluiceError(
    "E_USAGE",
    `Expected no secret on the command line, which other users of this machine see, found ${pathText(path)} in --set. Give it in the environment, as ${variable}, or in sluice.yaml.`,
  );
}

/** A flag that stands for one setting. */
export function flagOverride(flag: string, path: Path, text: string): Override {
  return { path, value: valueOf(text, shapeAt(path)), from: flag };
}

function resolve(steps: readonly string[], plain: (name: string) => string): { path: Path; unknownAt: number | null } {
  const path: (string | number)[] = [];
  for (const [at, step] of steps.entries()) {
    const shape = shapeAt(path);
    if (shape === null) return { path, unknownAt: at };
    if (itemOf(shape) !== undefined && /^\d{1,6}$/.test(step)) {
      path.push(Number(step));
      continue;
    }
    const name = Object.keys(propertiesOf(shape)).find((property) => plain(property) === plain(step));
    // A variable's name is in capitals, and cannot say what a free name is.
    const free = plain(step) === step && freeOf(shape) !== undefined;
    if (name === undefined && !free) return { path, unknownAt: at };
    path.push(name ?? step);
  }
  return { path, unknownAt: null };
}

function namesAt(path: Path): string[] {
  const shape = shapeAt(path);
  return shape === null ? [] : Object.keys(propertiesOf(shape));
}

function knownText(path: Path): string {
  const names = namesAt(path);
  const where = pathText(path) || "the configuration";
  const shape = shapeAt(path);
  if (shape !== null && itemOf(shape) !== undefined) return `${where} is a list, and takes a number, counted from 0`;
  if (shape !== null && freeOf(shape) !== undefined) {
    return `${where} has names of its own: give it whole, such as '{name: value}'`;
  }
  return names.length === 0 ? `${where} has nothing below it` : `${where} has ${names.join(", ")}`;
}

const plainName = (name: string): string => name.replaceAll("_", "").toLowerCase();
const variableName = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();

/** Text as the setting's type wants it; what does not fit stays text, and is then refused with what was expected. */
function valueOf(text: string, shape: Shape | null): unknown {
  switch (shape?.type) {
    case "integer":
    case "number":
      return /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "string":
      return text;
    // A list, a mapping, or a choice of mappings, which has no one type.
    default:
      try {
        return parse(text) as unknown;
      } catch {
        return text;
      }
  }
}
