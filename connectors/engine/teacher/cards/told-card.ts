import type { ModelCard } from "../../../../schemas/model-card.js";

/** What another tool's file, or the model's own metadata, says of a model. A member that is absent is not said. */
export interface ToldCard {
  /** The file's name, or where in the model it stands: shown to the user with everything that is taken from it */
  readonly from: string;
  readonly size?: Size;
  /** Whether the size binds: false where the tool adapts everything to the size that the model has */
  readonly sizeIsDefault?: boolean;
  readonly colour?: ModelCard["input"]["colour"];
  readonly normalise?: ModelCard["normalise"];
  /** For an input of that size, or in words what of it is not done here */
  readonly resize?: (size: Size) => Partial<ModelCard["resize"]> | { readonly refused: string };
  /** How the tool opens pictures, where that is not as a card's defaults have it */
  readonly opening?: Pick<ModelCard["resize"], "orientation" | "alpha">;
  /** In the order of the outputs */
  readonly labels?: readonly string[];
  readonly kind?: ModelCard["output"]["kind"];
  /** Why such a model is no teacher, in words that follow "found" */
  readonly refused?: string;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** One number or three, as means and deviations are */
export function channelsIn(value: unknown): number[] | null {
  const list = isNumber(value) ? [value] : value;
  if (!Array.isArray(list) || (list.length !== 1 && list.length !== 3)) return null;
  return list.every(isNumber) ? list : null;
}

/** Names of classes from a list, or from an object or a map by the number of the class; null where it is neither or has holes. */
export function labelsIn(value: unknown): string[] | null {
  const entries = value instanceof Map ? [...value] : isObject(value) ? Object.entries(value) : null;
  const list = Array.isArray(value) ? (value as unknown[]) : entries === null ? null : inOrder(entries);
  if (list === null || list.length < 2) return null;
  const names = list.map((name) => (typeof name === "number" ? String(name) : name));
  return names.every((name) => typeof name === "string") ? names : null;
}

/** The values of keys 0 to n - 1; where the values are those numbers (label2id), the keys. */
function inOrder(entries: readonly (readonly [unknown, unknown])[]): unknown[] | null {
  const placed = (numbered: readonly (readonly [unknown, unknown])[]): unknown[] | null => {
    const list = new Array<unknown>(numbered.length);
    for (const [key, value] of numbered) {
      const at = typeof key === "number" || (typeof key === "string" && /^\d+$/.test(key)) ? Number(key) : -1;
      if (at < 0 || at >= list.length || list[at] !== undefined) return null;
      list[at] = value;
    }
    return list;
  };
  return placed(entries) ?? placed(entries.map(([key, value]) => [value, key] as const));
}
