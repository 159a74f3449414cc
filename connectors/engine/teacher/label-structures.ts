import { parse } from "yaml";
import { messageOf } from "../../../schemas/errors.js";
import { readPythonLiteral } from "./cards/python-literal.js";
import { inOrder, refusedLabels } from "./refused-labels.js";

/** Under what tools put names of classes, the surest first */
const MEMBERS = [
  "id2label",
  "label2id",
  "names",
  "class_names",
  "classes",
  "labels",
  "categories",
  "class_to_idx",
  "vocab",
];
const NUMBER = /^(id|index|idx|(class|label|category)_?(id|index|idx))$/i;
const NAME = /^(name|label|(class|label|category|display)_?name)$/i;
/** YAML that names classes: a member that such files have, or nothing but a list */
const YAML = /^(id2label|names|class_names|classes|labels|categories)[ \t]*:|^(?:[ \t]*-[ \t]+\S.*(?:\r?\n|$))+$/;
/** A list or dict as Python's and JavaScript's source assigns it to a name */
const ASSIGNED =
  /^\s*(?:export\s+)?(?:(?:const|let|var)\s+)?[\w.]+(?:\s*:\s*[\w[\], <>]+)?\s*=\s*([[{].*[\]}])\s*;?\s*$/s;
const LABEL_MAP = /^\s*item\s*\{[^{}]*\}/;

/**
 * Names of classes in JSON, a line of JSON each, Python's `str` of a list or dict, YAML, or a label map of TensorFlow (`item { id: 1 name: "tench" }`): as a list, by
 * number (`{"0": "tench"}`, Keras' `{"0": ["n01440764", "tench"]}`), by name (`{"tench": 0}`), as source assigns it (`CLASSES = ["tench"]`), or below a member such as `id2label`. null where the text is none
 * of these. Throws E_TEACHER_LABELS.
 */
export function namesInStructure(text: string, path: string): string[] | null {
  if (LABEL_MAP.test(text)) return namesInLabelMap(text, path);
  const assigned = ASSIGNED.exec(text)?.[1];
  if (assigned !== undefined || /^\s*[[{]/.test(text)) return namesInBrackets(assigned ?? text, path);
  const isYaml =
    text.split(/\r?\n/).some((line) => YAML.test(line) && !/^[ \t]*-/.test(line)) || YAML.test(text.trimEnd());
  if (!isYaml) return null;
  const yaml = parsedYaml(text);
  // "names:" may also head plain lines.
  return typeof yaml === "object" && yaml !== null ? namesIn(yaml, path) : null;
}

function namesInBrackets(text: string, path: string): string[] | null {
  let fault: unknown;
  try {
    return namesIn(JSON.parse(text), path);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    fault = error;
  }
  const python = readPythonLiteral(text);
  if (python !== null) return namesIn(plain(python), path);
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const values = lines.map((line) => readPythonLiteral(line));
  if (values.length > 1 && values.every((value) => value instanceof Map)) return namesIn(values.map(plain), path);
  // `[0] tench`
  if (lines.every((line) => /^\s*\[\d+\]\s*\S/.test(line))) return null;
  throw refusedLabels(path, null, `labels in JSON, found: ${messageOf(fault)}`, fault);
}

/** What Python calls a dict has members. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return value instanceof Map ? Object.fromEntries([...value].map(([key, one]) => [String(key), plain(one)])) : value;
}

function parsedYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    // Lines of some other form.
    if (error instanceof Error && error.name === "YAMLParseError") return null;
    throw error;
  }
}

function namesInLabelMap(text: string, path: string): string[] {
  const items = [...text.matchAll(/item\s*\{([^{}]*)\}/g)].map(([, body]) => {
    const member = (name: string): string | undefined =>
      new RegExp(`(?:^|[\\s,;])${name}\\s*:\\s*(?:"([^"]*)"|'([^']*)'|([^\\s,;]+))`)
        .exec(body!)
        ?.slice(1)
        .find(Boolean);
    return { line: 0, index: Number(member("id")), name: member("display_name") ?? member("name") ?? "" };
  });
  return inOrder(items, path);
}

/** Names of classes in a value that was JSON. `where` is for messages. Throws E_TEACHER_LABELS. */
export function namesIn(json: unknown, where: string): string[] {
  const expected = 'labels as ["tench", …], {"0": "tench", …} or {"tench": 0, …}';
  if (Array.isArray(json)) return namesInList(json, where);
  if (typeof json !== "object" || json === null) throw refusedLabels(where, null, `${expected}, found ${typeof json}`);
  const members = Object.entries(json);
  const nested = members.filter(([, value]) => typeof value === "object" && value !== null);
  const known = MEMBERS.map((name) => nested.find(([key]) => key === name)).find((found) => found !== undefined);
  // A file that has one thing with members has the names there, whatever it calls them; beside it stand words and numbers.
  const own = known ?? (nested.length === 1 && !/^\d+$/.test(nested[0]![0]) ? nested[0] : undefined);
  if (own !== undefined) return namesIn(own[1], `${own[0]} of ${where}`);
  if (members.length === 0) throw refusedLabels(where, null, `${expected}, found none`);
  const byNumber = members.every(([key]) => /^\d{1,7}$/.test(key));
  const byName =
    members.every(([, value]) => Number.isInteger(value)) ||
    (!byNumber && members.every(([, value]) => /^\d{1,7}$/.test(String(value))));
  // Digits may be names too: {"7": 0, "3": 1}. Numbers that are in order on both sides say the same either way.
  if (byName && !(byNumber && members.every(([key, value]) => Number(key) === value))) {
    return inOrder(
      members.map(([name, index]) => ({ line: 0, index: Number(index), name })),
      where,
    );
  }
  if (byNumber) {
    return inOrder(
      members.map(([key, value]) => ({ line: 0, index: Number(key), name: nameIn(value, `"${key}" in ${where}`) })),
      where,
    );
  }
  const odd = members.find(([key, value]) => !/^\d{1,7}$/.test(key) && !Number.isInteger(value)) ?? members[0]!;
  throw refusedLabels(
    where,
    null,
    `${expected}, found ${JSON.stringify(odd[0])}: ${JSON.stringify(odd[1]).slice(0, 60)}`,
  );
}

/** Names in their order; or of objects with a number each, such as COCO's categories, in the order of the numbers. */
function namesInList(list: readonly unknown[], where: string): string[] {
  const names = list.map((value, index) => nameIn(value, `element ${index} of ${where}`));
  const numbers = list.map((value) => {
    const [, number] = isMembers(value) ? (Object.entries(value).find(([key]) => NUMBER.test(key)) ?? []) : [];
    return Number.isInteger(number) ? (number as number) : null;
  });
  if (list.length === 0 || numbers.includes(null)) return names;
  return inOrder(
    names.map((name, at) => ({ line: 0, index: numbers[at]!, name })),
    where,
  );
}

function isMembers(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One class's name: itself, or the last string of several (Keras has WordNet's number before it), or a member called name or label. */
function nameIn(value: unknown, where: string): string {
  const found: unknown =
    typeof value === "number"
      ? String(value)
      : Array.isArray(value)
        ? (value as unknown[]).at(-1)
        : typeof value === "object" && value !== null
          ? Object.entries(value).find(([key]) => NAME.test(key))?.[1]
          : value;
  if (typeof found === "string" && found.trim() !== "") return found.trim();
  throw refusedLabels(where, null, `a name, found ${JSON.stringify(value).slice(0, 60)}`);
}
