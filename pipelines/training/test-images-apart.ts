import type { Store } from "../../connectors/store/store.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { readSomeColumns } from "../versions/index-reader.js";
import type { LabelledSet } from "./labelled-set.js";

const NAMED = 3;

/**
 * Throws E_TRAIN_OVERLAP where an image that is tested with is also trained on: it would say how well a model remembers. `version`: the
 * rows that a student is pre-trained on.
 */
export async function assertTestApart(
  test: LabelledSet,
  trainedOn: {
    readonly labelled?: LabelledSet | undefined;
    readonly version?: { readonly store: Store; readonly manifest: Manifest } | undefined;
  },
): Promise<void> {
  const tested = new Map(test.images.map(({ sha256, uri }) => [sha256, uri]));
  const refuse = (shared: readonly string[], where: string, remedy: string): void => {
    if (shared.length === 0) return;
    const named = shared.slice(0, NAMED).map((digest) => `${tested.get(digest)!} (${digest.slice(0, 12)})`);
    throw new SluiceError(
      "E_TRAIN_OVERLAP",
      `Expected test images in ${test.path} that no model is trained on, found ${counted(shared.length, "image")} that ${where}: ` +
        `${named.join(", ")}${shared.length > NAMED ? " …" : ""}. ${remedy}`,
      { images: shared.length, digests: shared.slice(0, 100) },
    );
  };
  if (trainedOn.labelled !== undefined) {
    const { images, path } = trainedOn.labelled;
    const shared = new Set(images.map(({ sha256 }) => sha256).filter((digest) => tested.has(digest)));
    refuse([...shared], `${path} has, too`, "Take them out of one of the two.");
  }
  if (trainedOn.version !== undefined) {
    const { store, manifest } = trainedOn.version;
    const shared = new Set<string>();
    for await (const { count, sha256 } of readSomeColumns(store, manifest, ["sha256"])) {
      for (let row = 0; row < count; row++) if (tested.has(sha256[row]!)) shared.add(sha256[row]!);
    }
    refuse(
      [...shared],
      `version ${manifest.dataset}/${manifest.number} has, too`,
      `Take them out of the test images, or say that they are of no class (\`sluice label none ${[...shared][0]?.slice(0, 12) ?? ""}\`, for each) and make the version anew (\`sluice rebuild\`).`,
    );
  }
}
