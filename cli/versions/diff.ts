import { Option } from "commander";
import type { DeltaChange } from "../../schemas/delta-row.js";
import type { DeltaRow } from "../../pipelines/versions/version-delta.js";
import { countText } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { diffText } from "../report/version-diff.js";
import { versionNamed } from "../version-name.js";
import { writeOutput } from "./output-file.js";
import { VERSION } from "./version-argument.js";

interface Flags {
  readonly html?: string;
  readonly as?: "parquet";
  readonly to?: string;
}

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
    .addOption(
      new Option("--as <format>", "write the rows that entered, left and changed, as a file").choices(["parquet"]),
    )
    .option("--to <file>", "where to; by default <dataset>-<before>-<after>.parquet here")
    .option("--html <file>", "write one page with pictures of what changed, which one can send")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions diff 1 latest", "all that has changed since the first"],
        ["sluice versions diff 1 latest --html diff.html", "the same with pictures"],
        ["sluice versions diff 1 2 --as parquet", "what makes the rows of 1 into those of 2"],
      ]),
    )
    .action(async (before: string, after: string, flags: Flags) => {
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
        if (flags.to !== undefined && flags.as === undefined)
          throw new SluiceError("E_USAGE", "Expected --as parquet with --to, found --to alone.");
        if (flags.as !== undefined) {
          if (flags.html !== undefined)
            throw new SluiceError("E_USAGE", "Expected --html or --as, found both: each writes one file.");
          const { deltaFile, deltaRows } = await import("../../pipelines/versions/version-delta.js");
          const name = flags.to ?? `${older.dataset}-${pair[0].number}-${pair[1].number}.parquet`;
          const counts = { entered: 0, left: 0, changed: 0 };
          const file = await writeOutput(run, name, deltaFile(counted(deltaRows(store, ...pair), counts)), "--to");
          const { entered, left, changed } = counts;
          run.result(`Entered ${countText(entered)}, left ${countText(left)}, changed ${countText(changed)}: ${file}`, {
            file,
            before: idOf(pair[0]),
            after: idOf(pair[1]),
            ...counts,
          });
          return;
        }
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

async function* counted(rows: AsyncIterable<DeltaRow>, counts: Record<DeltaChange, number>): AsyncGenerator<DeltaRow> {
  for await (const row of rows) {
    counts[row.change]++;
    yield row;
  }
}

function idOf({ dataset, number, id }: Manifest): { dataset: string; number: number; id: string } {
  return { dataset, number, id };
}
