import { readFile } from "node:fs/promises";
import { buffer as readAll } from "node:stream/consumers";
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { counted } from "../schemas/counted.js";
import { messageOf, SluiceError } from "../schemas/errors.js";
import { exampleText } from "./command.js";
import type { AppendLabels } from "./commands/label.js";
import type { Invocation } from "./invocation.js";

const FORMS = ["jsonl", "csv", "parquet", "label-studio", "fiftyone"] as const;

interface Flags {
  readonly by?: string;
  readonly anyClass?: boolean;
  readonly as?: (typeof FORMS)[number];
  readonly field?: string;
}

/** `label import` */
export function declareLabelImport(command: Command, invocation: () => Invocation, append: AppendLabels): void {
  command
    .command("import")
    .summary("labels from a file")
    .description(
      'Reads labels as JSON, one a line or as one array: {"sha256": "…", "verdict": "is", "class": "cat"}; as CSV or Parquet with the columns sha256 or uri, class, and verdict where it is not "is"; ' +
        "or from what Label Studio (JSON, JSON-MIN) and FiftyOne (samples.json, labels.json) export. Verdicts: is, not, none, withdrawn; timeMs and by may be given. " +
        "Rows that nobody has judged are passed over and counted. A file with a fault is not taken in at all; what stands already is counted and not appended again.",
    )
    .argument("<file>", "a path, or - for standard input")
    .addOption(new Option("--as <form>", "what the file is; by default by its name and content").choices([...FORMS]))
    .option("--field <name>", "of FiftyOne: the field of classifications, where there are several")
    .option("--by <name>", "who says so, where a line does not")
    .option("--any-class", "accept classes that no teacher has")
    .addHelpText(
      "after",
      exampleText([
        ["sluice label import reviewed.jsonl --by anna", "what a labelling tool wrote"],
        ["sluice label import project-1.json --as label-studio", "an export of Label Studio"],
      ]),
    )
    .action(async (path: string, flags: Flags) => {
      const run = invocation();
      await append(run, flags, async (config, store, saying) => {
        const { labelsOfForeign, parseLabelLines } = await import("../pipelines/versions/label-lines.js");
        const { foreignLabels, labelFileOf, textOf } = await import("../pipelines/versions/label-file.js");
        const where = path === "-" ? "standard input" : path;
        const bytes = await readBytes(run, path);
        const as = flags.as ?? labelFileOf(path, bytes);
        if (as === "jsonl") return parseLabelLines(textOf(bytes, where), where, saying);
        const { digestsOfNamed } = await import("../pipelines/versions/named-images.js");
        const { labels, empty } = await foreignLabels(bytes, as, { where, field: flags.field });
        if (empty > 0)
          run.note(
            `passed over what says nothing yet in ${where}: ${empty} of ${counted(labels.length + empty, "row")}`,
          );
        return labelsOfForeign(labels, await digestsOfNamed(store, config.stream, labels), saying);
      });
    });
}

async function readBytes(run: Invocation, path: string): Promise<Uint8Array> {
  if (path === "-") return readAll(process.stdin);
  try {
    return await readFile(resolve(run.terminal.folder, path));
  } catch (cause) {
    throw new SluiceError("E_USAGE", `Expected a file of labels at ${path}, found none: ${messageOf(cause)}.`, {
      cause,
    });
  }
}
