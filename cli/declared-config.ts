import type { Declarations } from "../pipelines/open/declare.js";
import type { Config } from "../schemas/config.js";
import type { DeclaredTeacher } from "../schemas/declaration.js";
import { changeText, type DeclarationChange } from "../schemas/declaration-changes.js";
import { SluiceError } from "../schemas/errors.js";
import type { GivenSettings, Layers, SettledSettings } from "./config/given-settings.js";
import { openExistingStore, storeIsThere, type OpenedStore } from "./existing-store.js";
import type { Invocation, SettingFlag } from "./invocation.js";

export type LoadedTeacher = Awaited<ReturnType<typeof import("../pipelines/open/open-scoring.js").namedTeacher>>;

/** The settings of one call over what the store remembers, and the store itself. */
export interface OpenedDeclared {
  readonly given: GivenSettings;
  readonly declared: Declarations;
  /** Its datasets are those that are declared; none where nothing is */
  readonly config: Config;
  /** The teacher was named for this call */
  readonly namesTeacher: boolean;
  readonly store: OpenedStore;
}

/**
 * Opens the store of a data folder that is there, and takes the settings from what it remembers: a flag or variable holds for this
 * call alone, sluice.yaml for what cannot be declared. With `say`, both are said. Throws E_STORE_MISSING, E_CONFIG.
 */
export async function openDeclared(
  run: Invocation,
  flags: readonly SettingFlag[] = [],
  { say = false } = {},
): Promise<OpenedDeclared> {
  const given = await run.given(flags);
  const { location } = given;
  const store = await openExistingStore(location);
  try {
    const declared = await declaredIn(store, given);
    const { config, namesTeacher } = settledForCall(given, declared);
    if (say) for (const line of await callNotes(given, declared, config)) run.note(line);
    return { given, declared, config, namesTeacher, store };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** What is declared by now: another process may have changed it. */
export async function declaredNow(run: Invocation): Promise<Pick<OpenedDeclared, "config" | "declared">> {
  const { config, declared, store } = await openDeclared(run);
  await store.close();
  return { config, declared };
}

/** The same settings where no store need be there: then sluice.yaml and flags alone. */
export async function declaredOrGiven(
  run: Invocation,
  flags: readonly SettingFlag[] = [],
): Promise<Omit<OpenedDeclared, "store">> {
  const given = await run.given(flags);
  const declared = await declaredAt(given);
  return { given, declared, ...settledForCall(given, declared) };
}

/** What the store at a place remembers; nothing where there is none yet. Leaves nothing behind. */
export async function declaredAt(given: GivenSettings): Promise<Declarations> {
  const { noDeclarations } = await import("../pipelines/open/declare.js");
  const { location } = given;
  if (!(await storeIsThere(location))) return noDeclarations(location.stream);
  const store = await openExistingStore(location);
  try {
    return await declaredIn(store, given);
  } finally {
    await store.close();
  }
}

/** What an open store remembers of the stream that is meant. */
export async function declaredIn(store: OpenedStore, given: GivenSettings): Promise<Declarations> {
  const { onlyStream, readDeclarations } = await import("../pipelines/open/declare.js");
  const { stream } = given.location;
  return readDeclarations(store, given.namesStream ? stream : await onlyStream(store, stream));
}

const CALL: Layers = { file: false, environment: true, flags: true };

function settledForCall(
  given: GivenSettings,
  declared: Declarations,
): Pick<SettledSettings, "config" | "namesTeacher"> {
  // A file that is wrong is refused by every command.
  given.over(declared);
  const { config, namesTeacher } = given.over(declared, CALL);
  const names = new Set(declared.datasets.map(({ name }) => name));
  return { config: { ...config, datasets: config.datasets.filter(({ name }) => names.has(name)) }, namesTeacher };
}

/** What differs from the declared for this call, and what sluice.yaml says that is not declared. */
async function callNotes(given: GivenSettings, declared: Declarations, config: Config): Promise<string[]> {
  const here = await differences(declared, config);
  const file = await fileDifferences(given, declared, { file: true, environment: false, flags: false });
  return [
    ...here.map((change) => `for this call alone: ${changeText(change)}`),
    ...(file.length === 0
      ? []
      : [
          `${given.shownFile} says otherwise than what is declared, which holds (${file.map(changeText).join("; ")}): ` +
            "`sluice datasets apply` declares it",
        ]),
  ];
}

/** How settings differ from the declared; of the teacher only a digest can tell, which see `teacherDifference`. */
export async function differences(declared: Declarations, config: Config): Promise<DeclarationChange[]> {
  const { wantedChanges } = await import("../pipelines/open/declare.js");
  const { streamSettingsOf } = await import("../schemas/declaration.js");
  const { settings } = declared;
  const wanted = streamSettingsOf(config, settings?.teacher ?? null, settings?.sources ?? [], settings);
  const changes = wantedChanges(declared, { settings: wanted, datasets: config.datasets });
  return settings === null ? changes.filter(({ kind }) => kind === "dataset") : changes;
}

async function fileDifferences(
  given: GivenSettings,
  declared: Declarations,
  layers: Layers,
): Promise<DeclarationChange[]> {
  if (given.file === null && !layers.environment) return [];
  const { config, named } = given.over(declared, layers);
  return differences(declared, { ...config, datasets: config.datasets.filter(({ name }) => named.has(name)) });
}

/** Settings for a command that may change what is declared. Throws E_DATASET_UNKNOWN where every dataset was dropped. */
export function settledForChange(given: GivenSettings, declared: Declarations): SettledSettings {
  const settled = given.over(declared);
  const names = new Set(declared.datasets.map(({ name }) => name));
  // The first time there is one by default; one that was dropped comes back only where somebody names it.
  const isMeant = ({ name }: { readonly name: string }): boolean =>
    declared.settings === null || names.has(name) || given.namesDataset(name);
  const datasets = settled.config.datasets.filter(isMeant);
  if (datasets.length > 0) return { ...settled, config: { ...settled.config, datasets } };
  throw new SluiceError(
    "E_DATASET_UNKNOWN",
    `Expected a declared dataset over stream "${declared.stream}", found that all were dropped. Declare one: \`sluice datasets set default k=1000 p=1\`.`,
  );
}

/**
 * Settings for a long-running process: all that sluice.yaml and the environment say must be declared, once anything is; a replica with
 * an old file must not bring back what was changed since. A flag holds for this call. Throws E_DATASET_CONFLICT.
 */
export async function settledForRun(
  run: Invocation,
  given: GivenSettings,
  declared: Declarations,
): Promise<SettledSettings> {
  const settled = settledForChange(given, declared);
  if (declared.settings === null && declared.datasets.length === 0) return settled;
  const deployed = await fileDifferences(given, declared, { file: true, environment: true, flags: false });
  if (deployed.length > 0) throw conflict(given, deployed.map(changeText), deployed);
  for (const change of await differences(declared, settled.config)) {
    run.note(`for this call alone: ${changeText(change)}`);
  }
  return settled;
}

function conflict(given: GivenSettings, texts: readonly string[], found: readonly object[]): SluiceError {
  const where = given.file === null ? "the environment" : `${given.shownFile} and the environment`;
  return new SluiceError(
    "E_DATASET_CONFLICT",
    `Expected ${where} to say what is declared, or nothing of it, found differences: ${texts.join("; ")}. ` +
      "`sluice datasets apply` declares what they say; otherwise mend them (`sluice datasets show` prints what is declared).",
    { differences: found },
  );
}

/** Throws E_DATASET_CONFLICT where the file or the environment names another teacher than the declared one. */
export function assertDeclaredTeacher(given: GivenSettings, declared: Declarations, teacher: DeclaredTeacher): void {
  const difference = teacherDifference(declared, teacher);
  if (difference !== null)
    throw conflict(given, [difference], [{ declared: declared.settings?.teacher, found: teacher }]);
}

/** How a teacher that was loaded differs from the declared one; null where it is the same, or none is declared. */
function teacherDifference(declared: Declarations, teacher: DeclaredTeacher): string | null {
  const before = declared.settings?.teacher ?? null;
  if (before === null || before.digest === teacher.digest) return null;
  const named = (one: DeclaredTeacher): string => `${one.name} (${one.digest.slice(0, 12)})`;
  return `stream ${declared.stream}: teacher ${named(before)} → ${named(teacher)}`;
}

/** The teacher of a call, and a word where it is not the declared one. Throws what `namedTeacher` throws. */
export async function callTeacher(
  run: Invocation,
  config: Config,
  declared: Declarations,
  namesTeacher: boolean,
): Promise<LoadedTeacher> {
  const { namedTeacher } = await import("../pipelines/open/open-scoring.js");
  const teacher = await namedTeacher(config, namesTeacher ? null : declared.settings?.teacher);
  noteOtherTeacher(run, declared, await declaredAs(teacher, config));
  return teacher;
}

/** A word where a teacher is not the declared one. */
export function noteOtherTeacher(run: Invocation, declared: Declarations, teacher: DeclaredTeacher): void {
  const difference = teacherDifference(declared, teacher);
  if (difference !== null) run.note(`for this call alone: ${difference}`);
}

/** What is recorded of a loaded teacher. */
export async function declaredAs({ card }: Pick<LoadedTeacher, "card">, { teacher }: Config): Promise<DeclaredTeacher> {
  const { teacherDigest } = await import("../schemas/model-card.js");
  return { path: teacher ?? "", digest: teacherDigest(card), name: card.name };
}

/**
 * The teacher of a process that goes on for long: the one that is named or declared; not one that another has taken the place of since, which
 * `say` is told. The configuration that is returned has its path.
 */
export async function standingTeacher(
  config: Config,
  { settings }: Declarations,
  {
    namesTeacher,
    store,
    say,
  }: { readonly namesTeacher: boolean; readonly store?: OpenedStore; readonly say: (line: string) => void },
): Promise<{ readonly teacher: LoadedTeacher; readonly config: Config; readonly isNamed: boolean }> {
  const { namedTeacher } = await import("../pipelines/open/open-scoring.js");
  const stands = settings?.teacher ?? null;
  if (!namesTeacher || stands === null) {
    return { teacher: await namedTeacher(config, namesTeacher ? null : stands, store), config, isNamed: namesTeacher };
  }
  const named = await namedTeacher(config);
  const { digest, name } = await declaredAs(named, config);
  if (settings?.former?.some((one) => one.digest === digest) !== true || digest === stands.digest) {
    return { teacher: named, config, isNamed: true };
  }
  say(
    `teacher ${name} (${digest.slice(0, 12)}), which this call names, was replaced by ${stands.name} (${stands.digest.slice(0, 12)}) since: that one scores`,
  );
  return {
    teacher: await namedTeacher(config, stands, store),
    config: { ...config, teacher: stands.path },
    isNamed: false,
  };
}
