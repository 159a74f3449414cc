import { SluiceError } from "../../schemas/errors.js";
import { tagNameSchema } from "../../schemas/version-tag.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { versionedDataset, versionNamed } from "../version-name.js";
import { tableText } from "../wording.js";
import { VERSION } from "./version-argument.js";

/** `versions tag` and `versions tags` */
export const declareTags: DeclareCommand = (command, invocation) => {
  command
    .command("tag")
    .summary("call a version by a name, such as production")
    .description(
      "Gives a version a name, or moves one that another version had. Every command that takes a version takes its tags. What was said before stays in the store.",
    )
    .argument("<version>", VERSION)
    .argument("<tag>", "letters, digits, dot, dash, underscore; a letter first")
    .option("--drop", "take the tag away from that version")
    .addHelpText(
      "after",
      exampleText([
        ["sluice versions tag latest production", "`production` means this one from now on"],
        ["sluice versions tag production tried --drop", "the version is no longer called tried"],
      ]),
    )
    .action(async (text: string, tag: string, flags: { drop?: boolean }) => {
      const run = invocation();
      const { moveTag, readManifest, readTags } = await import("../../pipelines/versions/versions.js");
      const name = tagNameSchema.safeParse(tag);
      if (!name.success)
        throw new SluiceError(
          "E_USAGE",
          `Expected a tag such as production, found "${tag}": ${name.error.issues[0]!.message}.`,
        );
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        const { number } = await readManifest(store, dataset, version);
        const atMs = run.terminal.nowMs();
        const stands = (await readTags(store, dataset)).find((one) => one.tag === tag)?.number ?? null;
        if (flags.drop === true && stands !== number) {
          throw new SluiceError(
            "E_USAGE",
            `Expected version ${dataset}/${number} to be called ${tag}, found ${stands === null ? "no version that is" : `that version ${stands} is`}.`,
          );
        }
        const before = await moveTag(store, dataset, tag, { number: flags.drop === true ? null : number, atMs });
        const moved = before === null || before === number ? "" : `, and no longer version ${before}`;
        run.result(
          flags.drop === true
            ? `Version ${dataset}/${number} is no longer called ${tag}.`
            : `${dataset}/${tag} is version ${number}${moved}.`,
          { dataset, tag, number: flags.drop === true ? null : number, before },
        );
      } finally {
        await store.close();
      }
    });

  command
    .command("tags")
    .summary("what versions are called")
    .description("Lists the tags of a dataset, and the version that each means.")
    .argument("[dataset]", "by default the first that is declared")
    .addHelpText("after", exampleText([["sluice versions tags", "names, and the versions that they mean"]]))
    .action(async (name: string | undefined) => {
      const run = invocation();
      const { readTags } = await import("../../pipelines/versions/versions.js");
      const { config, store } = await openDeclared(run);
      try {
        const dataset = await versionedDataset(store, config, name);
        const tags = (await readTags(store, dataset)).filter(({ number }) => number !== null);
        const table = tableText(
          ["tag", "version", "since"],
          tags.map(({ tag, number, atMs }) => [tag, `${dataset}/${number}`, new Date(atMs).toISOString()]),
        );
        run.result(
          tags.length === 0
            ? `No version of ${dataset} has a tag: \`sluice versions tag latest production\` gives one.`
            : table,
          {
            dataset,
            tags,
          },
        );
      } finally {
        await store.close();
      }
    });
};
