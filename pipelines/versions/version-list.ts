import type { Store } from "../../connectors/store/store.js";
import type { VersionList } from "../../schemas/api/versions.js";
import { listVersions } from "./versions.js";

/** The versions of datasets, and what is said of manifests that cannot be read. */
export async function versionList(store: Store, datasets: Iterable<string>): Promise<VersionList> {
  const versions: VersionList["versions"][number][] = [];
  const damaged: VersionList["damaged"][number][] = [];
  for (const dataset of datasets) {
    const listed = listVersions(store, dataset, ({ code, message, context }) =>
      damaged.push({ code, message, key: context["key"] }),
    );
    for await (const { number, id, totals, provenance } of listed) {
      versions.push({
        dataset,
        number,
        id,
        rows: totals.rows,
        images: totals.images,
        createdAt: provenance.createdAt,
        trigger: provenance.trigger,
        incomplete: provenance.incomplete,
      });
    }
  }
  return { damaged, versions };
}
