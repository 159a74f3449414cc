import { getIfThere, type Store } from "../../connectors/store/store.js";
import { readDeclarations } from "../../operators/version/declarations.js";
import { leavingVersions } from "../../operators/version/kept-versions.js";
import { findManifest, manifestsNewestFirst } from "../../operators/version/manifests.js";
import { retiredVersions, turnRetirement, type RetiredVersion } from "../../operators/version/retirements.js";
import { keepText, type KeepRule } from "../../schemas/keep-rule.js";
import { keys } from "../../schemas/keys.js";
import { namedVersions } from "./named-versions.js";

/** A version that a rule lets go. */
export interface LeavingVersion {
  readonly dataset: string;
  readonly number: number;
  readonly createdAt: string;
  /** Files that are there still, and how large they are */
  readonly files: number;
  readonly sizeBytes: number;
  /** `retired`: it is let go now. `waits`: it was before, and readers have time. `freed`: its files go now. `kept`: it is kept again, for something names it by now */
  readonly step: "retired" | "waits" | "freed" | "kept";
}

export interface RetireOptions {
  readonly dryRun: boolean;
  readonly nowMs: number;
  /** Files of versions that were let go before this go, ms */
  readonly untilMs: number;
  /** In place of what is declared: what a rule would do */
  readonly rules?: ReadonlyMap<string, KeepRule>;
}

/**
 * Lets versions go as their datasets' rules say. A version is retired first: no command takes it any more. Its files go later, once nobody reads
 * them who began before, and only if nothing names it meanwhile. Its manifest stays for ever.
 */
export async function retireVersions(store: Store, stream: string, options: RetireOptions): Promise<LeavingVersion[]> {
  const { datasets, others } = await readDeclarations(store, stream);
  const rules =
    options.rules ??
    new Map(datasets.flatMap(({ name, dataset: { keep } }) => (keep === undefined ? [] : [[name, keep]])));
  const found: LeavingVersion[] = [];
  // What was retired goes, also where its rule is no longer declared, or its dataset is not.
  const dropped = [...others.values()].filter(({ dataset }) => dataset === null);
  for (const dataset of new Set([...datasets, ...dropped].map(({ name }) => name))) {
    const rule = rules.get(dataset);
    const retired = await retiredVersions(store, dataset);
    if (rule === undefined && retired.length === 0) continue;
    const named = await namedVersions(store, dataset);
    for (const one of retired)
      found.push(...(await settle(store, dataset, one, { ...options, isNamed: named.has(one.number) })));
    if (rule !== undefined)
      found.push(...(await retire(store, dataset, { ...options, rule, named: new Set(named.keys()) })));
  }
  return found.sort((a, b) => (a.dataset < b.dataset ? -1 : a.dataset > b.dataset ? 1 : a.number - b.number));
}

/** The versions whose rows need no bytes any more, by dataset. */
export function leavingOf(versions: readonly LeavingVersion[]): Map<string, Set<number>> {
  const leaving = new Map<string, Set<number>>();
  for (const { dataset, number, step } of versions) {
    if (step === "kept") continue;
    leaving.set(dataset, (leaving.get(dataset) ?? new Set()).add(number));
  }
  return leaving;
}

/** Deletes all files of a version that was retired, also while somebody reads them: what an erasure does. */
export async function freeRetired(store: Store, dataset: string, number: number): Promise<void> {
  for (const { key } of await filesOf(store, dataset, number)) await store.delete(key);
}

async function retire(
  store: Store,
  dataset: string,
  { rule, named, nowMs, dryRun }: RetireOptions & { readonly rule: KeepRule; readonly named: ReadonlySet<number> },
): Promise<LeavingVersion[]> {
  const createdAt = new Map<number, string>();
  // One that cannot be read stays, and says so to those who ask for it.
  for await (const { number, provenance } of manifestsNewestFirst(store, dataset))
    createdAt.set(number, provenance.createdAt);
  const versions = [...createdAt].map(([number, at]) => ({ number, createdMs: Date.parse(at) }));
  const found: LeavingVersion[] = [];
  for (const number of leavingVersions(versions, rule, { named, nowMs })) {
    const said = { number, turn: await turnsOf(store, dataset, number), atMs: nowMs, reason: `keep ${keepText(rule)}` };
    if (!dryRun && !(await turnRetirement(store, dataset, said))) continue;
    found.push(leaving(dataset, number, createdAt.get(number)!, await filesOf(store, dataset, number), "retired"));
  }
  return found;
}

/** The objects of a standing version's row that were written so far. */
async function turnsOf(store: Store, dataset: string, number: number): Promise<number> {
  let turn = 0;
  while ((await getIfThere(store, keys.retirement(dataset, number, turn + 1))) !== null) turn++;
  return turn;
}

async function settle(
  store: Store,
  dataset: string,
  retired: RetiredVersion,
  { isNamed, dryRun, nowMs, untilMs }: RetireOptions & { readonly isNamed: boolean },
): Promise<LeavingVersion[]> {
  const { number } = retired;
  const files = await filesOf(store, dataset, number);
  if (files.length === 0) return [];
  const { provenance } = (await findManifest(store, dataset, number))!;
  const say = (step: LeavingVersion["step"]): LeavingVersion[] => [
    leaving(dataset, number, provenance.createdAt, files, step),
  ];
  if (isNamed) {
    const again = { ...retired, atMs: nowMs, reason: "something names it" };
    return dryRun || (await turnRetirement(store, dataset, again)) ? say("kept") : [];
  }
  if (retired.atMs >= untilMs) return say("waits");
  if (!dryRun) for (const { key } of files) await store.delete(key);
  return say("freed");
}

function leaving(
  dataset: string,
  number: number,
  createdAt: string,
  files: readonly { readonly sizeBytes: number }[],
  step: LeavingVersion["step"],
): LeavingVersion {
  const sizeBytes = files.reduce((sum, one) => sum + one.sizeBytes, 0);
  return { dataset, number, createdAt, files: files.length, sizeBytes, step };
}

/** All objects of the attempts whose files are a version's. */
async function filesOf(store: Store, dataset: string, number: number): Promise<{ key: string; sizeBytes: number }[]> {
  const prefix = keys.attempts(dataset);
  const manifest = await findManifest(store, dataset, number);
  const folders = new Set((manifest?.files ?? []).map(({ key }) => key.slice(0, key.indexOf("/", prefix.length) + 1)));
  const files: { key: string; sizeBytes: number }[] = [];
  for (const folder of folders)
    for await (const { key, sizeBytes } of store.list(folder)) files.push({ key, sizeBytes });
  const delta = await store.head(keys.delta(dataset, number));
  if (delta !== null) files.push(delta);
  return files;
}
