import { CLASS_LIST, classListArgument } from "../class-list-argument.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { versionNamed } from "../version-name.js";
import { tableText } from "../wording.js";
import { writeOutput } from "./output-file.js";
import { VERSION } from "./version-argument.js";

/** Classes on a page where nobody names any: those with the lowest cut-off */
const CLASSES = 20;

/** `versions sheet` */
export const declareSheet: DeclareCommand = (command, invocation) => {
  command
    .command("sheet")
    .summary("pictures to judge a version by")
    .description(
      `Of each class the best rows, those in the middle, those at the cut-off, and the most doubtful: where the teacher's two best classes were nearest to each other. Without --classes the ${CLASSES} classes of the lowest cut-off.`,
    )
    .argument("<version>", VERSION)
    .option("--classes <list>", CLASS_LIST, classListArgument)
    .option("--html <file>", "write one page with the pictures")
    .addHelpText("after", exampleText([["sluice versions sheet latest --html sheet.html", "a page that one can send"]]))
    .action(async (text: string, flags: { classes?: readonly string[]; html?: string }) => {
      const run = invocation();
      const { readManifest, versionSheet } = await import("../../pipelines/versions/versions.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        const manifest = await readManifest(store, dataset, version);
        const { rows, page } = await versionSheet(store, manifest, {
          store,
          stream: manifest.provenance.stream,
          opener: publishingParts(config).opener,
          nowMs: run.terminal.nowMs,
          classes: flags.classes ?? CLASSES,
        });
        const html = flags.html === undefined ? null : await writeOutput(run, flags.html, page);
        const table = tableText(
          ["class", "line", "rank", "probability", "margin", "sha256"],
          rows.map((row) => [
            row.label,
            row.line,
            row.rank,
            row.probability === null ? "by label" : row.probability.toPrecision(4),
            row.margin === null ? "" : row.margin.toPrecision(2),
            row.sha256.slice(0, 12),
          ]),
        );
        run.result(html === null ? table : `Pictures of ${dataset}/${manifest.number}: ${html}`, {
          dataset,
          number: manifest.number,
          html,
          rows,
        });
      } finally {
        await store.close();
      }
    });
};
