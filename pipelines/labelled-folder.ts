import { percentDecode, shownPath } from "../connectors/source/byte-path.js";
import { openFolderSource } from "../connectors/source/folder.js";
import { openUri } from "../connectors/source/open-uri.js";
import type { EncodedExample } from "../operators/stages/read-examples.js";
import { SluiceError } from "../schemas/errors.js";

/** Labelled images as `<folder>/<class name>/…/*`. */
export interface LabelledFolder {
  readonly folder: string;
  /** Names of the subfolders that hold images, in natural order ("2" before "10") */
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
  const classNames = [...new Set(found.map(({ className }) => className))].sort(
    new Intl.Collator("en", { numeric: true }).compare,
  );
  const opener = openUri();
  return {
    folder,
    classNames,
    async *examples(labels, maxBytes) {
      const indices = new Map(labels.map((label, index) => [label, index]));
      for (const { className, uri } of found) {
        const label = indices.get(className);
        if (label === undefined) {
          throw new SluiceError(
            "E_TRAIN_DATA",
            `Expected subfolders of ${folder} to be named after the model's classes (${listed(labels)}), found "${className}". Rename or remove it.`,
            { folder, className },
          );
        }
        yield { label, uri, bytes: () => opener.open(uri, maxBytes) };
      }
    },
  };
}

function listed(labels: readonly string[]): string {
  return labels.length <= 20 ? labels.join(", ") : `${labels.slice(0, 20).join(", ")} … ${labels.length} in all`;
}
