import type { LateRecord } from "../../pipelines/versions/late.js";
import { EXIT } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { wholeNumber } from "../number-argument.js";
import { retiredText } from "../report/retired.js";
import { absentText, lateText, listText, manifestText, verifyText } from "../report/versions.js";
import { versionedDataset, versionNamed } from "../version-name.js";
import { declareDiff } from "../versions/diff.js";
import { declareExport } from "../versions/export.js";
import { declareExplain } from "../versions/explain.js";
import { declareSheet } from "../versions/sheet.js";
import { declareKeep } from "../versions/keep.js";
import { declareTags } from "../versions/tags.js";
import { VERSION } from "../versions/version-argument.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice versions list", "every version, newest last"],
      ["sluice versions show latest", "what the newest one holds, class by class"],
      ["sluice versions diff 1 2", "which images came and went, and why"],
      ["sluice versions explain 3f0c91d2", "why an image is in a version, or is not"],
      ["sluice versions tag latest production", "calls the newest one `production`"],
      ["sluice versions keep last 10, tagged, younger than 30 days", "which versions stay"],
      ["sluice versions export latest --as folder", "for other programs"],
      ["sluice versions late latest", "what came too late for it, and what that would change"],
      ["sluice versions verify latest", "reads it whole: files, digests, ranks, totals, archive"],
    ]),
  );

  command
    .command("list")
    .summary("every version, newest last")
    .description("Lists the versions of every dataset that is declared or has any.")
    .argument("[dataset]", "only this one's")
    .addHelpText("after", exampleText([["sluice versions list flowers", "of one dataset"]]))
    .action(async (name: string | undefined) => {
      const run = invocation();
      const { publishedDatasets } = await import("../../pipelines/versions/versions.js");
      const { config, store } = await openDeclared(run);
      try {
        const datasets =
          name !== undefined
            ? [await versionedDataset(store, config, name)]
            : new Set([...config.datasets.map((dataset) => dataset.name), ...(await publishedDatasets(store))]);
        const { versionList } = await import("../../pipelines/versions/version-list.js");
        const listed = await versionList(store, datasets);
        if (listed.damaged.length > 0) run.exitCode = EXIT.verification;
        run.result([listText(listed.versions), ...listed.damaged.map(({ message }) => message)].join("\n"), listed);
      } finally {
        await store.close();
      }
    });

  command
    .command("show")
    .summary("what a version holds")
    .description("Prints a version's manifest: parameters, classes, totals, provenance.")
    .argument("<version>", VERSION)
    .option("--classes <n>", "classes printed; --json has all", wholeNumber, 20)
    .addHelpText("after", exampleText([["sluice versions show latest --json", "the manifest itself"]]))
    .action(async (text: string, flags: { classes: number }) => {
      const run = invocation();
      const { readManifest, retirementOf } = await import("../../pipelines/versions/versions.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        const manifest = await readManifest(store, dataset, version, "all");
        const retired = await retirementOf(store, dataset, manifest.number);
        const head = retired === null ? "" : `${retiredText(retired)}\n\n`;
        run.result(
          `${head}${manifestText(manifest, store.place, flags.classes)}`,
          retired === null ? manifest : { ...manifest, retired },
        );
      } finally {
        await store.close();
      }
    });

  declareDiff(command, invocation);
  declareExplain(command, invocation);
  declareSheet(command, invocation);
  declareExport(command, invocation);
  declareTags(command, invocation);
  declareKeep(command, invocation);

  command
    .command("late")
    .summary("what came after a version was cut, for its window")
    .description(
      "Lists the images whose event time lies in a version's window and which were archived after it was cut, and the classes that each would change. For versions of tumbling and hopping windows.",
    )
    .argument("<version>", VERSION)
    .option("--list <n>", "images listed; with --json all", wholeNumber, 20)
    .addHelpText("after", exampleText([["sluice versions late latest", "which version would this have changed?"]]))
    .action(async (text: string, flags: { list: number }) => {
      const run = invocation();
      const { readManifest } = await import("../../pipelines/versions/versions.js");
      const { lateRecords } = await import("../../pipelines/versions/late.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        const manifest = await readManifest(store, dataset, version);
        const late: LateRecord[] = [];
        for await (const one of lateRecords(store, manifest)) late.push(one);
        run.result(lateText(late, manifest, flags.list), { dataset, number: manifest.number, late });
      } finally {
        await store.close();
      }
    });

  declareMetricsFlags(command.command("verify"))
    .summary("whether a version is what it says")
    .description(
      `Reads a version whole, and what the archive says of its records, and reports all that is not as it must be. Exits with ${EXIT.verification} then.`,
    )
    .argument("<version>", VERSION)
    .option("--deep", "read every archived row behind it, too")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions verify latest", "exits with 0 only if all is well"],
        ["sluice versions verify latest --deep", "with all of the archive that it was made from"],
      ]),
    )
    .action(async (text: string, { deep = false }: { deep?: boolean }) => {
      const run = invocation();
      const { verifyVersion } = await import("../../pipelines/versions/versions.js");
      const { chainTotals, lostRangesOf, readChainTotals } = await import("../../pipelines/versions/chain-totals.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        await longWork(run, async ({ onProgress, stop, warn }) => {
          const counts = { scored: 0, copied: 0, quarantined: 0 };
          const report = await verifyVersion(store, dataset, version, {
            lostRanges: (manifest) => lostRangesOf(store, manifest),
            chainTotals: (manifest) => (deep ? readChainTotals : chainTotals)(store, manifest),
            onProgress: ({ rows, totalRows }) => {
              onProgress({ phase: "verify", done: rows, total: totalRows, kept: 0, ...counts });
            },
            signal: stop,
          });
          if (report.findingCount > 0) run.exitCode = EXIT.verification;
          const absent = absentText(report);
          if (absent !== null) warn(absent, "E_PUBLISH_ABSENT");
          // Of `latest` is said which one that is.
          const number = report.manifest?.number ?? version;
          run.result(verifyText(report, `${dataset}/${number}`), { ok: report.findingCount === 0, ...report });
        });
      } finally {
        await store.close();
      }
    });
};
