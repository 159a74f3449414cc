import type { Store } from "../connectors/store/store.js";
import { findManifest, publishedDatasets, readManifest, versionNumbers } from "../operators/stages/manifests.js";
import type { Manifest } from "../schemas/manifest.js";

export { publishedDatasets, readManifest, versionNumbers };
export { readIndex, readIndexColumns } from "./index-reader.js";
export { diffVersions, type ClassDiff, type VersionDiff } from "./diff-versions.js";
export { verifyVersion, type VerifyOptions, type VerifyReport } from "./verify-version.js";
export type { Finding } from "./findings.js";
export { readSamples, shardFiles, type Sample } from "./shard-reader.js";

/** Manifests of the dataset's versions, number ascending. Throws E_VERSION_CORRUPT. */
export async function* listVersions(store: Store, dataset: string): AsyncGenerator<Manifest> {
  for (const number of await versionNumbers(store, dataset)) {
    const manifest = await findManifest(store, dataset, number);
    if (manifest !== null) yield manifest;
  }
}
