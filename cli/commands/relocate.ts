import type { Relocated } from "../../pipelines/relocate.js";
import type { Relocation } from "../../schemas/relocation.js";
import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openExistingStore } from "../existing-store.js";
import { sourceArgument } from "../source-argument.js";
import { countText, counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Flags {
  readonly list?: boolean;
  readonly dryRun?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Writes down that what lay below <old> lies below <new> now: folders, shards, or prefixes of buckets. Versions, retries, replays and scorers look there for an image " +
        "that is no longer where it was seen. Archived rows stay as they are. <new> must have at least one of the images that were seen below <old>.",
    )
    .argument("[old]", "a folder, a shard, or s3://bucket/prefix/, as it was when the images were taken in")
    .argument("[new]", "where the same lies now")
    .option("--list", "what has been written down so far")
    .option("--dry-run", "look whether images are there, and write nothing down")
    .addHelpText(
      "after",
      exampleText([
        ["sluice relocate photographs/ /mnt/archive/photographs/", "the folder was moved"],
        ["sluice relocate photographs/ s3://wild/photographs/", "it was copied into a bucket and deleted here"],
        ["sluice relocate --list", "what has been written down, oldest first"],
      ]),
    )
    .action(async (before: string | undefined, after: string | undefined, flags: Flags) => {
      const run = invocation();
      const { config } = await run.loadConfig();
      if (flags.list === true) {
        if (before !== undefined) throw new SluiceError("E_USAGE", "Expected --list alone, or two places.");
        const { listRelocations } = await import("../../pipelines/relocate.js");
        const store = await openExistingStore(config);
        try {
          const relocations = await listRelocations(store);
          run.result(listText(relocations), { relocations });
        } finally {
          await store.close();
        }
        return;
      }
      if (before === undefined || after === undefined) {
        throw new SluiceError(
          "E_USAGE",
          "Expected two places, where images were and where they are. See `sluice relocate --help`.",
        );
      }
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const { relocate } = await import("../../pipelines/relocate.js");
      const [from, to] = [before, after].map((place) => sourceArgument(run.terminal.folder, place)) as [string, string];
      const { opener } = publishingParts(config);
      await longWork(run, async ({ stop }) => {
        const store = await openExistingStore(config);
        try {
          const done = await relocate({
            store,
            stream: config.stream,
            opener,
            before: from,
            after: to,
            dryRun: flags.dryRun ?? false,
            nowMs: run.terminal.nowMs(),
            signal: stop,
          });
          run.result(doneText(done, before, after), done);
        } finally {
          await store.close();
        }
      });
    });
};

function doneText({ number, known, looked, found }: Relocated, before: string, after: string): string {
  const seen = `${counted(known, "image")} ${known === 1 ? "was" : "were"} seen below ${before}; of ${countText(looked)} looked for, ${countText(found)} ${found === 1 ? "is" : "are"} below ${after}.`;
  return number === null
    ? `${seen} Nothing was written down.`
    : `${seen} From now on what is not at its old place is looked for there.`;
}

function listText(relocations: readonly Relocation[]): string {
  if (relocations.length === 0) return "Nothing was relocated.";
  return tableText(
    ["old", "new", "since"],
    relocations.map(({ from, to, atMs }) => [from, to, new Date(atMs).toISOString()]),
  );
}
