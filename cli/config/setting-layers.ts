import { pathText, propertiesOf, shapeAt, type Path, type Shape } from "./settings-shape.js";

/** A copy in which no two places share a value, as a YAML alias and its anchor do: a flag sets the one that it names. */
export function unshared(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unshared);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unshared(inner)]));
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `engine:` with every line below it commented out says nothing, as if it were not there. */
export function dropEmptyMappings(values: Record<string, unknown>, shape: Shape): void {
  for (const [name, property] of Object.entries(propertiesOf(shape))) {
    const value = values[name];
    if (property.type !== "object") continue;
    if (value === null) Reflect.deleteProperty(values, name);
    else if (typeof value === "object") dropEmptyMappings(value as Record<string, unknown>, property);
  }
}

/**
 * One layer over another, member by member. A value that may have several forms (K, a window, a trigger), a list and a mapping of
 * free names stand as a whole.
 */
export function laidOver(over: unknown, under: unknown, root: Shape, path: Path = []): unknown {
  if (over === undefined) return under;
  if (!isMapping(over) || !isMapping(under) || !hasFixedMembers(shapeAt(path, root))) return over;
  const names = new Set([...Object.keys(under), ...Object.keys(over)]);
  return Object.fromEntries([...names].map((name) => [name, laidOver(over[name], under[name], root, [...path, name])]));
}

/**
 * Sets `value` at `path`; returns what is in the way, or null. What is there but no mapping is left to the schema.
 * `seed`: what stands at a place already, where a value of several forms is changed in part.
 */
export function assign(
  root: Record<string, unknown>,
  path: Path,
  value: unknown,
  seed: (path: Path) => unknown = () => undefined,
): string | null {
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
    const at = path.slice(0, depth + 1);
    if (slots[step] === undefined && !hasFixedMembers(shapeAt(at))) slots[step] = unshared(seed(at));
    slots[step] ??= {};
    const next = slots[step];
    if (typeof next !== "object" || next === null) return null;
    place = next as Record<string, unknown> | unknown[];
  }
  return null;
}

function hasFixedMembers(shape: Shape | null): boolean {
  return shape?.type === "object" && shape.properties !== undefined && shape.additionalProperties === false;
}
