import type { Store } from "../../connectors/store/store.js";
import {
  publishedDatasets,
  readableManifest,
  readManifest,
  versionNumbers,
  type OnDamaged,
  type Which,
} from "../../operators/version/manifests.js";
import { retirementOf } from "../../operators/version/retirements.js";
import { moveTag, readTags } from "../../operators/version/version-tags.js";
import type { Manifest } from "../../schemas/manifest.js";

export { moveTag, publishedDatasets, readManifest, readTags, retirementOf, versionNumbers };
export { readIndex, readIndexColumns } from "./index-reader.js";
export { diffVersions, type Change, type ClassDiff, type VersionDiff } from "./diff-versions.js";
export { diffPage } from "./diff-page.js";
export { versionSheet, type SheetRow } from "./version-sheet.js";
export { verifyVersion, type VerifyOptions, type VerifyReport } from "./verify-version.js";
export type { Finding } from "./findings.js";
export { readSamples, shardFiles, type Sample } from "./shard-reader.js";

/** Manifests of the dataset's versions that can be read, number ascending. */
export async function* listVersions(
  store: Store,
  dataset: string,
  onDamaged: OnDamaged = () => undefined,
  which: Which = "standing",
): AsyncGenerator<Manifest> {
  for (const number of await versionNumbers(store, dataset, which)) {
    const manifest = await readableManifest(store, dataset, number, onDamaged);
    if (manifest !== null) yield manifest;
  }
}
