import { canonicalJson, type Json } from "./canonical.js";
import type { Dataset } from "./dataset.js";
import type { DeclaredTeacher, StreamSettings } from "./declaration.js";
import type { DeclaredSource } from "./declared-source.js";

/** One setting that is declared otherwise than before; a member that is absent has no value. */
export interface SettingChange {
  /** As in sluice.yaml, below its dataset or on its own: `select.k`, `decode.cmyk` */
  readonly setting: string;
  readonly before?: Json;
  readonly after?: Json;
}

/** What is new of one declaration. */
export interface DeclarationChange {
  readonly kind: "dataset" | "stream";
  readonly name: string;
  /** Nothing was declared of it before */
  readonly isNew: boolean;
  readonly settings: readonly SettingChange[];
}

/** How a dataset differs from what is declared of it (null: nothing); null where it does not. */
export function datasetChange(before: Dataset | null, after: Dataset): DeclarationChange | null {
  return changeOf("dataset", after.name, before && datasetMembers(before), datasetMembers(after));
}

/** The same of a stream's settings. */
export function streamChange(
  stream: string,
  before: StreamSettings | null,
  after: StreamSettings,
): DeclarationChange | null {
  // The digest says which teacher it is, whatever it is called.
  const isSame = before?.teacher != null && before.teacher.digest === after.teacher?.digest;
  const now = isSame ? { ...after, teacher: { ...after.teacher!, name: before.teacher!.name } } : after;
  return changeOf("stream", stream, before && streamMembers(before), streamMembers(now));
}

/** `dataset default: K 20 → 1000, floor 0 → 0.1`; of a new one what it is declared as. */
export function changeText({ kind, name, isNew, settings }: DeclarationChange): string {
  const parts = settings.map(({ setting, before, after }) =>
    isNew
      ? `${nameOf(setting)} ${settingText(after)}`
      : `${nameOf(setting)} ${settingText(before)} → ${settingText(after)}`,
  );
  return `${kind} ${name}: ${isNew ? "declared with " : ""}${parts.join(", ")}`;
}

/** Of a new declaration that is said which one asks for first; the rest is in `sluice datasets show`. */
const SAID_OF_NEW = new Set(["select.k", "select.p", "window", "trigger", "teacher", "bytes"]);
const GLOBAL = canonicalJson({ kind: "global" });

export type Members = ReadonlyMap<string, Json>;

function changeOf(
  kind: DeclarationChange["kind"],
  name: string,
  before: Members | null,
  after: Members,
): DeclarationChange | null {
  const settings: SettingChange[] = [];
  for (const setting of new Set([...after.keys(), ...(before?.keys() ?? [])])) {
    const [was, is] = [before?.get(setting), after.get(setting)];
    const same = was !== undefined && is !== undefined && canonicalJson(was) === canonicalJson(is);
    if (same || (before === null && !isSaidOfNew(setting, is))) continue;
    settings.push({
      setting,
      ...(was === undefined ? {} : { before: was }),
      ...(is === undefined ? {} : { after: is }),
    });
  }
  return before !== null && settings.length === 0 ? null : { kind, name, isNew: before === null, settings };
}

function isSaidOfNew(setting: string, value: Json | undefined): boolean {
  if (setting === "window") return value !== undefined && canonicalJson(value) !== GLOBAL;
  return SAID_OF_NEW.has(setting) || /^(include|links) of /.test(setting);
}

/** What is declared of a dataset, by its settings' names below it. */
export function datasetMembers({ select, ...dataset }: Dataset): Members {
  const rest = membersOf("", dataset).filter(([setting]) => setting !== "name");
  return new Map([...membersOf("select.", select), ...rest]);
}

function streamMembers(settings: StreamSettings): Members {
  const { teacher, decode, archive, sources, next, former, ...rest } = settings;
  return new Map([
    ...(teacher === null ? [] : teacherMembers(teacher)),
    ...(next === undefined ? [] : [["teacher to follow", named(next)] satisfies [string, Json]]),
    ...(former === undefined ? [] : [["former teachers", former.map(named).join(", ")] satisfies [string, Json]]),
    ...membersOf("decode.", decode),
    ...membersOf("archive.", archive),
    ...membersOf("", rest),
    ...sources.flatMap(({ places, ...taken }) => sourceMembers(places.join(", "), taken)),
  ]);
}

function sourceMembers(
  place: string,
  { include, followLinks, linksWithin }: Omit<DeclaredSource, "places">,
): [string, Json][] {
  return [
    ...(include.length === 0 ? [] : [[`include of ${place}`, include.join(", ")] satisfies [string, Json]]),
    ...(followLinks ? [[`links of ${place}`, linksWithin ?? "followed"] satisfies [string, Json]] : []),
  ];
}

function named({ digest, name }: DeclaredTeacher): string {
  return `${name} (${digest.slice(0, 12)})`;
}

function teacherMembers(teacher: DeclaredTeacher): [string, Json][] {
  return [
    ["teacher", named(teacher)],
    ["teacher's path", teacher.path],
  ];
}

function membersOf(prefix: string, members: object): [string, Json][] {
  return Object.entries(members as Record<string, Json | undefined>).flatMap(([name, value]): [string, Json][] =>
    value === undefined ? [] : [[`${prefix}${name}`, value]],
  );
}

function nameOf(setting: string): string {
  if (setting === "select.k") return "K";
  if (setting === "select.p") return "P";
  return setting.replace(/^select\./, "");
}

/** A setting's value, for people. */
export function settingText(value: Json | undefined): string {
  if (value === undefined) return "none";
  return typeof value === "string" ? value : canonicalJson(value);
}
