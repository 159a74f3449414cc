import { Option } from "commander";
import { counted } from "../../schemas/counted.js";
import { EXPORT_FORMATS, type ExportFormat } from "../../schemas/export-format.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { sourceArgument } from "../source-argument.js";
import { versionNamed } from "../version-name.js";
import { VERSION } from "./version-argument.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

/** `versions export` */
export const declareExport: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command.command("export"))
    .summary("writes a version for other programs, with a dataset card")
    .description(
      "Writes a version into an empty folder or bucket: `folder` (images in a folder a class), `hf` (for Hugging Face's hub and `datasets`), `webdataset`, `tfrecord`, or `csv` (rows without images). A file gets its name once it is whole; an export that was stopped goes on by the same command.",
    )
    .argument("<version>", VERSION)
    .addOption(new Option("--as <form>", "what to write").choices(EXPORT_FORMATS).makeOptionMandatory())
    .option("--to <place>", "a folder, or s3://bucket/prefix/; by default ./<dataset>-<number>-<form>")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions export latest --as folder", "for whatever takes a folder a class"],
        ["sluice versions export production --as tfrecord --to s3://training/flowers/", "for tf.data"],
      ]),
    )
    .action(async (text: string, flags: { as: ExportFormat; to?: string }) => {
      const run = invocation();
      const { readManifest } = await import("../../pipelines/versions/versions.js");
      const { exportVersion } = await import("../../pipelines/export/export-version.js");
      const { openExportTarget } = await import("../../pipelines/export/export-target.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        const manifest = await readManifest(store, dataset, version);
        const name = flags.to ?? `${dataset}-${manifest.number}-${flags.as}`;
        await longWork(run, async ({ onProgress, stop }) => {
          const target = await openExportTarget(sourceArgument(run.terminal.folder, name), config.s3);
          try {
            const done = await exportVersion(store, manifest, target, { as: flags.as, onProgress, signal: stop });
            const { rows, files, kept, place } = done;
            const said =
              done.outcome === "there"
                ? `${dataset}/${manifest.number} is at ${place} already, as ${flags.as}: ${counted(files, "file")}.`
                : `${dataset}/${manifest.number}, ${counted(rows, "row")}, is at ${place} as ${flags.as}: ${counted(files, "file")}` +
                  `${kept > 0 ? `, of which ${counted(kept, "was", "were")} there already` : ""}. Read README.md there first.`;
            run.result(said, { dataset, number: manifest.number, ...done });
          } finally {
            await target.close();
          }
        });
      } finally {
        await store.close();
      }
    });
};
