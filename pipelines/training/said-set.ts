import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { ClassNames } from "../../schemas/class-names.js";
import type { Manifest } from "../../schemas/manifest.js";
import { labelledSet, type LabelledImage, type LabelledSet } from "./labelled-set.js";
import { saidExamples } from "./said-examples.js";

/** Where images lie that people labelled in a stream. */
export interface SaidFrom {
  readonly opener: ImageOpener;
  readonly nowMs: () => number;
}

/** A labelled set with the images that people said are of a class, in the stream that a version is of; not those that are tested with. */
export async function joinSaid(
  set: LabelledSet,
  options: {
    readonly store: Store;
    readonly manifest: Manifest;
    readonly teacher: ClassNames | undefined;
    readonly test: LabelledSet | null;
    readonly from: SaidFrom;
  },
): Promise<LabelledSet> {
  const { store, manifest, test, from } = options;
  const teacher = options.teacher ?? { labels: set.labels };
  const known = new Set([...set.images, ...(test?.images ?? [])].map(({ sha256 }) => sha256));
  const said: LabelledImage[] = [];
  const examples = saidExamples({
    ...from,
    store,
    stream: manifest.provenance.stream,
    teacher,
    map: selectedClasses(manifest.select, teacher),
    without: () => Promise.resolve(known),
  });
  for await (const example of examples) said.push({ ...example, sha256: sha256Hex(await example.bytes()) });
  return said.length === 0 ? set : labelledSet(set.path, set.labels, [...set.images, ...said], set.skipped);
}
