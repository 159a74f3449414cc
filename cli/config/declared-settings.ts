import { datasetNameSchema, type Dataset } from "../../schemas/dataset.js";
import { DECLARED_MEMBERS, type StreamSettings } from "../../schemas/declaration.js";
import type { Override } from "./override.js";
import { isMapping } from "./setting-layers.js";

/** What a store remembers of the stream, as far as settings go. */
export interface DeclaredSettings {
  readonly stream: string;
  readonly settings: StreamSettings | null;
  readonly datasets: readonly { readonly dataset: Dataset }[];
  /** By their names, those of other streams and those that were dropped */
  readonly others: ReadonlyMap<string, { readonly stream: string; readonly dataset: Dataset | null }>;
}

/** What a stream's dataset is called that nobody names: in a store whose "default" is another stream's, as its own stream. */
export function unnamedDataset(declared: DeclaredSettings | null): string {
  const taken = declared?.others.get("default");
  const isAnothers = taken != null && taken.dataset !== null && taken.stream !== declared?.stream;
  return isAnothers && datasetNameSchema.safeParse(declared?.stream).success ? declared!.stream : "default";
}

/** Whether a setting is one that the store remembers, where it remembers anything of the stream. */
export function isDeclared(path: Override["path"], declared: DeclaredSettings | null): boolean {
  const [first, second] = path;
  if (first === "datasets") return declared !== null;
  if (declared?.settings == null) return false;
  if (first === "decode" || first === "archive") {
    return second === undefined || DECLARED_MEMBERS[first].includes(String(second));
  }
  return ["teacher", "bytes", "retainBytes", "maxFutureSkewMs"].includes(String(first));
}

/** Takes out of settings what the store remembers. */
export function dropDeclared(root: Record<string, unknown>): void {
  for (const name of ["teacher", "bytes", "retainBytes", "maxFutureSkewMs"]) Reflect.deleteProperty(root, name);
  for (const group of ["decode", "archive"] as const) {
    const members = root[group];
    if (!isMapping(members)) continue;
    for (const name of DECLARED_MEMBERS[group]) Reflect.deleteProperty(members, name);
  }
}

/** What is declared of a stream, as sluice.yaml would say it. */
export function treeOf(settings: StreamSettings | null): Record<string, unknown> {
  if (settings === null) return {};
  const { teacher, decode, archive, bytes, retainBytes, maxFutureSkewMs } = settings;
  const tree = { decode, archive, bytes, retainBytes, maxFutureSkewMs };
  return teacher === null ? tree : { ...tree, teacher: teacher.path };
}
