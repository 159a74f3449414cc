import { getIfThere, type Store } from "../../connectors/store/store.js";
import { isSluiceError, messageOf, SluiceError } from "../../schemas/errors.js";
import { keys, retirementPlace } from "../../schemas/keys.js";
import { manifestSchema, type Manifest, type ManifestFile } from "../../schemas/manifest.js";
import { decodeRedaction, redactedManifest, type Redaction } from "../../schemas/redaction.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";
import { isRetiredAt, retirementOf } from "./retirements.js";

/** Versions that stand, or also those that were let go: their manifests stay. */
export type Which = "standing" | "all";

/** Numbers of the dataset's published versions, ascending. */
export async function versionNumbers(store: Store, dataset: string, which: Which = "standing"): Promise<number[]> {
  const prefix = keys.versions(dataset);
  const data = keys.attempts(dataset);
  const numbers: number[] = [];
  const turns = new Map<number, number>();
  for await (const { key } of store.list(prefix)) {
    // Numbers sort before `data/`, whose files are many.
    if (key >= data) break;
    const number = /^(\d+)\/manifest\.json$/.exec(key.slice(prefix.length))?.[1];
    if (number !== undefined) numbers.push(Number(number));
    const turned = retirementPlace(key);
    if (turned !== null) turns.set(turned.number, Math.max(turned.turn, turns.get(turned.number) ?? 0));
  }
  const isThere = (number: number): boolean => which === "all" || !isRetiredAt(turns.get(number) ?? 0);
  return numbers.filter(isThere).sort((a, b) => a - b);
}

/** Names of the datasets that have versions, ascending. */
export async function publishedDatasets(store: Store): Promise<string[]> {
  const names = new Set<string>();
  for await (const { key } of store.list(keys.allVersions)) {
    const name = /^versions\/([^/]+)\/\d+\/manifest\.json$/.exec(key)?.[1];
    if (name !== undefined) names.add(name);
  }
  return [...names];
}

/** The manifest of a version, or of the newest one. Throws E_VERSION_MISSING, for one that was let go, too, unless `all` are wanted; E_VERSION_CORRUPT. */
export async function readManifest(
  store: Store,
  dataset: string,
  version: number | "latest",
  which: Which = "standing",
): Promise<Manifest> {
  const number = version === "latest" ? (await versionNumbers(store, dataset)).at(-1) : version;
  const manifest = number === undefined ? null : await findManifest(store, dataset, number);
  const retired = manifest === null || which === "all" ? null : await retirementOf(store, dataset, manifest.number);
  if (manifest !== null && retired === null) return manifest;
  if (retired !== null) {
    throw new SluiceError(
      "E_VERSION_MISSING",
      `Expected version ${dataset}/${retired.number}, found that it was let go at ${new Date(retired.atMs).toISOString()} (${retired.reason}): its files go. ` +
        `Its manifest is there (\`sluice versions show ${dataset}/${retired.number}\`), and \`sluice rebuild ${dataset} --at ${retired.number}\` makes one of the same scores.`,
      { dataset, version: retired.number, retiredMs: retired.atMs },
    );
  }
  const numbers = await versionNumbers(store, dataset);
  const there =
    numbers.length === 0
      ? "it has none yet"
      : `it has ${numbers.length === 1 ? "version" : "versions"} ${numbers.join(", ")}`;
  throw new SluiceError(
    "E_VERSION_MISSING",
    `Expected version ${version} of dataset "${dataset}" in ${store.place}, but ${there}.`,
    { dataset, version, numbers },
  );
}

/** Is told of a manifest that cannot be read, and is passed over: its version is lost to nobody but those who ask for it. */
export type OnDamaged = (error: SluiceError) => void;

/** The newest manifest that can be read, null where there is none. */
export async function newestManifest(
  store: Store,
  dataset: string,
  onDamaged: OnDamaged = () => undefined,
): Promise<Manifest | null> {
  for await (const manifest of manifestsNewestFirst(store, dataset, onDamaged)) return manifest;
  return null;
}

/** Manifests of the dataset's versions, the newest first, those that can be read. */
export async function* manifestsNewestFirst(
  store: Store,
  dataset: string,
  onDamaged: OnDamaged = () => undefined,
  which: Which = "standing",
): AsyncGenerator<Manifest, void, undefined> {
  for (const number of (await versionNumbers(store, dataset, which)).reverse()) {
    const manifest = await readableManifest(store, dataset, number, onDamaged);
    if (manifest !== null) yield manifest;
  }
}

/** A version's manifest; null where there is none, or none that can be read. */
export async function readableManifest(
  store: Store,
  dataset: string,
  number: number,
  onDamaged: OnDamaged,
): Promise<Manifest | null> {
  try {
    return await findManifest(store, dataset, number);
  } catch (error) {
    if (!isSluiceError(error, "E_VERSION_CORRUPT")) throw error;
    onDamaged(error);
    return null;
  }
}

/** A version's manifest as it holds with its redactions, null where there is no such version. Throws E_VERSION_CORRUPT. */
export async function findManifest(store: Store, dataset: string, number: number): Promise<Manifest | null> {
  const key = keys.manifest(dataset, number);
  const bytes = await getIfThere(store, key);
  if (bytes === null) return null;
  const manifest = decodeManifest(bytes, key);
  return redactedManifest(manifest, await redactionsOf(store, dataset, number));
}

/** All that a version's manifest and its redactions, those of now, say of one of its files: an erasure writes it anew behind them. Throws E_VERSION_CORRUPT. */
export async function filesOnceNamed(
  store: Store,
  { dataset, number }: Pick<Manifest, "dataset" | "number">,
  key: string,
): Promise<ManifestFile[]> {
  const at = keys.manifest(dataset, number);
  const bytes = await getIfThere(store, at);
  const published = bytes === null ? [] : decodeManifest(bytes, at).files;
  const anew = (await redactionsOf(store, dataset, number)).flatMap(({ files }) => files);
  return [...published, ...anew].filter((file) => file.key === key);
}

/** What was erased from a version, in order; nothing for nearly all. Throws E_VERSION_CORRUPT. */
export async function redactionsOf(store: Store, dataset: string, number: number): Promise<Redaction[]> {
  const found: Redaction[] = [];
  for (;;) {
    const redaction = found.length + 1;
    const bytes = await getIfThere(store, keys.redaction(dataset, number, redaction));
    if (bytes === null) return found;
    found.push(decodeRedaction(bytes, dataset, number, redaction));
  }
}

/** Two spaces of indent: people read manifests. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return sealJson(manifestSchema.parse(manifest), 2);
}

/** Throws E_VERSION_CORRUPT, naming `key`. */
export function decodeManifest(bytes: Uint8Array, key: string): Manifest {
  try {
    return manifestSchema.parse(openSealedJson(bytes));
  } catch (error) {
    throw new SluiceError(
      "E_VERSION_CORRUPT",
      `Expected the manifest of a version at ${key}, found bytes that do not read as one: ${messageOf(error)}. ` +
        "Restore it from a copy; other versions are not affected.",
      { cause: error, key },
    );
  }
}
