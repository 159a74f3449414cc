import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { diffText } from "../report/version-diff.js";
import { versionNamed } from "../version-name.js";
import { writeOutput } from "./output-file.js";
import { VERSION } from "./version-argument.js";

/** `versions diff` */
export const declareDiff: DeclareCommand = (command, invocation) => {
  command
    .command("diff")
    .summary("which images came and went between two versions, and why")
    .description(
      "Compares two versions class by class: what entered, left and moved, with the reason of each: a new image, a label, an erasure, another parameter or teacher, room below, or better images.",
    )
    .argument("<before>", VERSION)
    .argument("<after>", VERSION)
    .option("--html <file>", "write one page with pictures of what changed, which one can send")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions diff 1 latest", "all that has changed since the first"],
        ["sluice versions diff 1 latest --html diff.html", "the same with pictures"],
      ]),
    )
    .action(async (before: string, after: string, flags: { html?: string }) => {
      const run = invocation();
      const { diffPage, diffVersions, readManifest } = await import("../../pipelines/versions/versions.js");
      const { config, store } = await openDeclared(run);
      try {
        const older = await versionNamed(store, config, before);
        const newer = await versionNamed(store, config, after);
        const pair = [
          await readManifest(store, older.dataset, older.version),
          await readManifest(store, newer.dataset, newer.version),
        ] as const;
        if (flags.html === undefined) {
          const diff = await diffVersions(store, ...pair);
          run.result(diffText(diff), diff);
          return;
        }
        const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
        const { opener } = publishingParts(config);
        const { diff, page } = await diffPage(store, ...pair, {
          store,
          stream: pair[1].provenance.stream,
          opener,
          nowMs: run.terminal.nowMs,
        });
        const html = await writeOutput(run, flags.html, page);
        run.result(`${diffText(diff)}\n\nPictures of it: ${html}`, { ...diff, html });
      } finally {
        await store.close();
      }
    });
};
