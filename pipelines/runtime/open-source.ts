import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { openFolderSource } from "../../connectors/source/folder.js";
import type { Source } from "../../connectors/source/source.js";
import { openTarSource } from "../../connectors/source/tar.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { FOLDERS } from "./workspace.js";

/** A source, and what it has to say when it is through. */
export interface OpenedSource {
  readonly source: Source;
  /** What was passed over, in words; null for nothing */
  passedOver(): string | null;
}

/**
 * One folder of pictures, or tar shards: paths, globs or ranges (`train-{000..099}.tar`). What was taken before is
 * remembered in the data folder, below `kept`. `include` are globs on paths within the folder or names within the shards.
 * Throws E_SOURCE_MISSING, E_SOURCE_READ, E_USAGE for several folders or a mixture.
 */
export async function openSource(
  config: Config,
  inputs: readonly string[],
  include?: readonly string[],
  kept: string = FOLDERS.listings,
): Promise<OpenedSource> {
  const listings = resolve(config.data, kept, config.stream);
  const isFolder = await Promise.all(inputs.map(folderAt));
  if (!isFolder.some(Boolean)) {
    const source = await openTarSource(inputs, { listings, maxBytes: config.decode.maxBytes, include });
    return { source, passedOver: () => null };
  }
  const [folder] = inputs;
  if (folder === undefined || inputs.length > 1) {
    throw new SluiceError(
      "E_USAGE",
      `Expected one folder, or any number of tar shards, found ${inputs.join(", ")}. Run the command once for each.`,
    );
  }
  const source = await openFolderSource(folder, { listings, skip: [resolve(config.data)], include });
  return {
    source,
    passedOver: () => {
      const { count, first } = source.skipped;
      return count === 0
        ? null
        : `Passed over ${count} that are neither files nor folders (links are not followed), such as ${first ?? ""}`;
    },
  };
}

async function folderAt(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // A glob or a range is no path; what is missing altogether, the tar source says.
    return false;
  }
}
