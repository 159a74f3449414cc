import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { explainText } from "../report/explained.js";

/** `versions explain` */
export const declareExplain: DeclareCommand = (command, invocation) => {
  command
    .command("explain")
    .summary("why an image is in a version, or is not")
    .description(
      "Says all that is known of one image: where it was seen, how each teacher scored it, what people said, and of each version its rank, or what it missed and by how much.",
    )
    .argument("<image>", "its SHA-256 or the first six digits at least, a file, or a uri")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions explain photographs/12.jpg", "the image in this file"],
        ["sluice versions explain 3f0c91d2", "the one of a newest version whose SHA-256 begins so"],
      ]),
    )
    .action(async (text: string) => {
      const run = invocation();
      const { imageLife } = await import("../../pipelines/console/image/image-life.js");
      const { IndexGroups } = await import("../../pipelines/versions/index-groups.js");
      const { namedImage } = await import("../../pipelines/versions/named-image.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const { config, store } = await openDeclared(run);
      try {
        const sha256 = await namedImage(text, {
          store,
          opener: publishingParts(config).opener,
          readFile: (path) => fileOrNull(resolve(run.terminal.folder, path)),
        });
        const groups = new IndexGroups(store);
        const life = await imageLife({ store, groups, stream: config.stream }, sha256);
        if (life.sightings.length + life.quarantine.length + life.labels.length === 0) {
          throw new SluiceError(
            "E_USAGE",
            `Expected an image that was seen in stream "${config.stream}", found nothing of ${sha256}. It may not have been scored yet; an image that was written anew has another SHA-256.`,
            { sha256 },
          );
        }
        run.result(explainText(life), life);
      } finally {
        await store.close();
      }
    });
};

async function fileOrNull(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR" || code === "ENAMETOOLONG") return null;
    throw error;
  }
}
