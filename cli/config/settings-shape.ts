import { z } from "zod";
import { configSchema } from "../../schemas/config.js";

export type Path = readonly (string | number)[];

/** The part of JSON Schema that our settings use. */
export interface Shape {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly (string | number | boolean)[];
  readonly const?: string | number | boolean;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly items?: Shape;
  readonly oneOf?: readonly Shape[];
  readonly anyOf?: readonly Shape[];
  /** Of a mapping whose names are free */
  readonly additionalProperties?: Shape | false;
}

let settings: Shape | undefined;

/** The settings of sluice.yaml as JSON Schema (draft 2020-12): what editors read, and what names and types come from. */
export function settingsShape(): Shape {
  settings ??= z.toJSONSchema(configSchema, { io: "input" }) as Shape;
  return settings;
}

/** What may stand at `path`, or null where there is no such setting. A choice of mappings counts as all of them. */
export function shapeAt(path: Path, root: Shape = settingsShape()): Shape | null {
  let shape: Shape = root;
  for (const step of path) {
    const next = typeof step === "number" ? itemOf(shape) : (propertiesOf(shape)[step] ?? freeOf(shape));
    if (next === undefined) return null;
    shape = next;
  }
  return shape;
}

/** What the choices of a setting are: itself, where it is none. */
function choicesOf(shape: Shape): readonly Shape[] {
  const choices = shape.oneOf ?? shape.anyOf;
  return choices === undefined ? [shape] : choices.flatMap(choicesOf);
}

/** What a list's entries are. */
export function itemOf(shape: Shape): Shape | undefined {
  return choicesOf(shape).find(({ items }) => items !== undefined)?.items;
}

/** What stands under the free names of a mapping. */
export function freeOf(shape: Shape): Shape | undefined {
  for (const { additionalProperties } of choicesOf(shape)) if (additionalProperties) return additionalProperties;
  return undefined;
}

/** Whether a value of another kind than a mapping may stand here as well. */
export function takesPlainValue(shape: Shape): boolean {
  return choicesOf(shape).some(({ type }) => type !== "object");
}

export function propertiesOf(shape: Shape): Readonly<Record<string, Shape>> {
  const own = Object.fromEntries(Object.entries(shape.properties ?? {}));
  for (const choice of choicesOf(shape)) {
    if (choice === shape) continue;
    for (const [name, property] of Object.entries(propertiesOf(choice))) {
      const before = own[name];
      own[name] = before === undefined ? property : bothOf(before, property);
    }
  }
  return own;
}

/** The same property in two choices: their constants become one list. */
function bothOf(a: Shape, b: Shape): Shape {
  const values = [a, b].flatMap((shape) => (shape.const === undefined ? (shape.enum ?? []) : [shape.const]));
  if (values.length === 0) return a;
  const description = [a.description, b.description].filter((text) => text !== undefined).join("; ");
  return { type: "string", enum: [...new Set(values)], ...(description === "" ? {} : { description }) };
}

/** `["datasets", 0, "select", "k"]` → `datasets[0].select.k` */
export function pathText(path: Path): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : text === "" ? step : `.${step}`;
  return text;
}

/** Of a choice, the forms that a value of that kind can be meant as: for 0, the numbers; all where it fits none. */
export function formsFor(shape: Shape, value: unknown): Shape {
  const kind = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  const fitting = choicesOf(shape).filter(({ type }) => (type === "integer" ? "number" : type) === kind);
  // A word that is none of the words may have been meant as anything: "3" for a number or `auto`.
  const areWords = fitting.every((choice) => choice.const !== undefined || choice.enum !== undefined);
  return areWords ? shape : { anyOf: fitting };
}

/** What a setting takes, in words: "a whole number above 0", "one of auto, onnx, tfjs". */
export function expectationText(shape: Shape): string {
  const choices = choicesOf(shape);
  const [only] = choices;
  if (only !== undefined && only !== shape && choices.length === 1) return expectationText(only);
  if (choices.length > 1) return [...new Set(choices.map(expectationText))].join(" or ");
  if (shape.const !== undefined) return String(shape.const);
  if (shape.enum !== undefined) {
    return shape.enum.length === 1 ? String(shape.enum[0]) : `one of ${shape.enum.map(String).join(", ")}`;
  }
  const free = freeOf(shape);
  if (free !== undefined) return `a mapping of names, each to ${expectationText(free)}`;
  switch (shape.type) {
    case "integer":
      return `a whole number${rangeText(shape)}`;
    case "number":
      return `a number${rangeText(shape)}`;
    case "boolean":
      return "true or false";
    case "string":
      return "text";
    case "array":
      return shape.minItems === undefined ? "a list" : `a list of at least ${shape.minItems}`;
    default:
      return "a mapping (name: value)";
  }
}

function rangeText(shape: Shape): string {
  const parts: string[] = [];
  if (shape.exclusiveMinimum !== undefined) parts.push(`above ${shape.exclusiveMinimum}`);
  else if (shape.minimum !== undefined && shape.minimum > Number.MIN_SAFE_INTEGER) {
    parts.push(`of at least ${shape.minimum}`);
  }
  if (shape.exclusiveMaximum !== undefined) parts.push(`below ${shape.exclusiveMaximum}`);
  // The greatest safe integer bounds every whole number and says nothing to a reader.
  else if (shape.maximum !== undefined && shape.maximum < Number.MAX_SAFE_INTEGER) {
    parts.push(`at most ${shape.maximum}`);
  }
  return parts.length === 0 ? "" : ` ${parts.join(" and ")}`;
}

/** What was found, in words and short: `0`, `"text"`, `nothing`, `a list`. */
export function foundText(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "an empty value";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = typeof value === "string" ? JSON.stringify(value) : (value as number | boolean).toString();
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
