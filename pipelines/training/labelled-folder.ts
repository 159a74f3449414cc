import { percentDecode, shownPath } from "../../connectors/source/byte-path.js";
import { openFolderSource } from "../../connectors/source/folder.js";
import { openUri } from "../../connectors/source/open-uri.js";
import type { EncodedExample } from "../../operators/training/read-examples.js";
import { byCodePoints } from "../../operators/select/label-orders.js";
import { labelIndex } from "../../operators/select/label-index.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";

/** Labelled images as `<folder>/<class name>/…/*`. */
export interface LabelledFolder {
  readonly folder: string;
  /** Names of the subfolders that hold images, ordered by code points as torchvision's ImageFolder has them ("10" before "2") */
  readonly classNames: readonly string[];
  /** Images of all classes, in the byte order of their paths. `labels` gives each class name its index. */
  examples(labels: readonly string[], maxBytes: number): AsyncGenerator<EncodedExample>;
}

/**
 * Lists a folder of labelled images. Throws E_SOURCE_MISSING, E_SOURCE_READ, E_TRAIN_DATA where images lie beside the
 * class folders; `examples` throws E_TRAIN_DATA for a class that is not among `labels`.
 */
export async function openLabelledFolder(folder: string): Promise<LabelledFolder> {
  const source = await openFolderSource(folder, { followLinks: true, mayBeEmpty: true });
  const root = `file://${source.name.slice(source.name.indexOf(":") + 1)}/`;
  const found: { className: string; uri: string }[] = [];
  for await (const { record } of source.items(null)) {
    const [first, ...below] = record.uri.slice(root.length).split("/");
    if (below.length === 0) {
      throw new SluiceError(
        "E_TRAIN_DATA",
        `Expected one subfolder a class in ${folder}, found the file ${shownPath(percentDecode(first!))} beside them. Move it into the folder of its class.`,
        { folder },
      );
    }
    found.push({ className: shownPath(percentDecode(first!)), uri: record.uri });
  }
  const classNames = [...new Set(found.map(({ className }) => className))].sort(byCodePoints);
  const opener = openUri();
  return {
    folder,
    classNames,
    async *examples(labels, maxBytes) {
      const indexOf = classLookup(labels);
      for (const { className, uri } of found) {
        const label = indexOf(className, `the subfolders of ${folder}`);
        yield { label, uri, bytes: () => opener.open(uri, maxBytes) };
      }
    },
  };
}

/**
 * The classes that names in labelled sets mean: by label or as `#12`. The lookup throws E_TRAIN_DATA, saying `where` the name stands, for one that
 * names no class, or several.
 */
export function classLookup(labels: readonly string[]): (name: string, where: string) => number {
  const known = new Map<string, number>();
  return (name, where) => {
    let index = known.get(name);
    if (index === undefined) {
      try {
        index = labelIndex({ labels }, name, where);
      } catch (error) {
        if (!isSluiceError(error, "E_SELECTION")) throw error;
        throw new SluiceError("E_TRAIN_DATA", `${error.message} Rename or remove it.`, {
          ...error.context,
          cause: error,
        });
      }
      known.set(name, index);
    }
    return index;
  };
}
