import type { Declarations } from "../pipelines/open/declare.js";
import type { Config } from "../schemas/config.js";
import { changeText, type DeclarationChange } from "../schemas/declaration-changes.js";
import type { DeclaredTeacher } from "../schemas/declaration.js";
import { withSource, type DeclaredSource } from "../schemas/declared-source.js";
import type { OpenedStore } from "./existing-store.js";
import { selectedBy, type SourceFlags } from "./source-flags.js";

/** What a call wants to be declared. */
export interface CallDeclaration {
  readonly config: Config;
  /** null: no teacher is known */
  readonly teacher: DeclaredTeacher | null;
  readonly source?: DeclaredSource | null;
  /** The command, for the record */
  readonly by: string;
  readonly nowMs: number;
}

/**
 * Says what a call changes of what is declared, and declares it. With `dryRun` it says so alone. Returns the changes.
 * Throws E_DATASET_CONFLICT.
 */
export async function declareCall(
  store: OpenedStore,
  declared: Declarations,
  { config, teacher, source = null, by, nowMs }: CallDeclaration,
  { say, dryRun = false }: { readonly say: (line: string) => void; readonly dryRun?: boolean },
): Promise<DeclarationChange[]> {
  const { declare, wantedChanges } = await import("../pipelines/open/declare.js");
  const { streamSettingsOf } = await import("../schemas/declaration.js");
  const before = declared.settings?.sources ?? [];
  const sources = source === null ? before : withSource(before, source);
  const settings = streamSettingsOf(config, teacher ?? declared.settings?.teacher ?? null, sources, declared.settings);
  const wanted = { settings, datasets: config.datasets };
  const changes = wantedChanges(declared, wanted);
  for (const change of changes) say(changeText(change));
  if (!dryRun) await declare(store, declared, wanted, { by, nowMs });
  return changes;
}

export interface SelectedSource {
  readonly source: DeclaredSource;
  readonly notes: readonly string[];
  /** Whether nothing was said of it before */
  readonly isNew: boolean;
}

/**
 * What is taken of a source: as flags say, and else as it was said before, which `notes` say.
 * `folder` is where relative paths begin.
 */
export function selectedSource(
  known: readonly DeclaredSource[],
  places: readonly string[],
  flags: SourceFlags,
  folder: string,
): SelectedSource {
  const before = known.find((one) => JSON.stringify(one.places) === JSON.stringify(places));
  const given = selectedBy(flags, folder);
  const include = given.include ?? before?.include ?? [];
  const links = flags.followLinks === undefined && flags.linksWithin === undefined ? (before ?? given) : given;
  const { followLinks, linksWithin } = links;
  const notes = [
    ...(given.include === undefined && include.length > 0
      ? [`only ${include.join(", ")}, as said of this source before; --include '**' takes everything`]
      : []),
    ...(links !== given && followLinks
      ? ["links are followed, as said of this source before; --no-follow-links passes them over"]
      : []),
  ];
  const source = { places: [...places], include: [...include], followLinks };
  return {
    source: linksWithin === undefined ? source : { ...source, linksWithin },
    notes,
    isNew: before === undefined,
  };
}
