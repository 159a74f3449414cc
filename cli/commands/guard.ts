import { GUARD_DISTANCE, guardNameSchema } from "../../schemas/guard.js";
import type { Guarded } from "../../pipelines/guard.js";
import { counted, countText } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { wholeNumber } from "../number-argument.js";
import { sourceArgument } from "../source-argument.js";
import { tableText } from "../wording.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      [
        "sluice guard add cifar10-test pictures/test/",
        "no version has an image of this test set, or a near duplicate of one",
      ],
      ["sluice guard list", "what is guarded"],
      ["sluice rebuild", "a version without them"],
    ]),
  );

  declareMetricsFlags(command.command("add"))
    .summary("keep an evaluation set's images out of every version")
    .description(
      "Reads the images of a test set and writes down their digests and perceptual hashes. No version that is cut from then on has one of them, or an image that is like one. " +
        "A name that is there already stands for the new images. Versions that were made stay.",
    )
    .argument("<name>", "what the set is called")
    .argument("<source...>", "a folder, tar shards, or s3://bucket/prefix/")
    .option(
      "--distance <bits>",
      "images that differ in so many bits of PDQ's 256 are alike, at most 63",
      wholeNumber,
      GUARD_DISTANCE,
    )
    .addHelpText("after", exampleText([["sluice guard add holdout shards/holdout-{0..3}.tar", "images in tar shards"]]))
    .action(async (name: string, sources: string[], flags: { distance: number }) => {
      const run = invocation();
      if (!guardNameSchema.safeParse(name).success)
        throw new SluiceError(
          "E_USAGE",
          `Expected a name of lower-case letters, digits, dot, dash and underscore, found "${name}".`,
        );
      if (flags.distance > 63)
        throw new SluiceError("E_USAGE", `Expected a distance of 0 to 63 bits, found ${flags.distance}.`);
      const { openSource } = await import("../../pipelines/open/open-source.js");
      const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
      const { withOwnSource } = await import("../../pipelines/open/source-places.js");
      const { guardImages } = await import("../../pipelines/guard.js");
      const paths = sources.map((source) => sourceArgument(run.terminal.folder, source));
      await longWork(run, async ({ onProgress, stop, warn }) => {
        const { config, store } = await openDeclared(run);
        try {
          const done = await guardImages({
            ...publishingParts(withOwnSource(config, { places: paths, include: [], followLinks: false })),
            store,
            source: await openSource(config, paths, { kept: null }),
            from: paths.join(" "),
            maxBytes: config.decode.maxBytes,
            name,
            distance: flags.distance,
            stream: config.stream,
            atMs: run.terminal.nowMs(),
            onProgress,
            signal: stop,
          });
          const { set, refused, labelled, replaces } = done;
          if (labelled > 0)
            warn(
              `${counted(labelled, "image")} of ${name} ${labelled === 1 ? "has a label" : "have labels"}: an image that is guarded enters no version, whatever people say of it. Is it a set to train on? Then: \`${run.hint("guard", "drop", name)}\``,
            );
          run.result(addedText(done), {
            name,
            images: set.images,
            distance: set.distance,
            refused,
            labelled,
            replaces,
          });
        } finally {
          await store.close();
        }
      });
    });

  command
    .command("list")
    .summary("which sets are guarded")
    .description("Lists the guarded sets, and how many images the newest version of each dataset left out for them.")
    .addHelpText("after", exampleText([["sluice guard list", "names, images, and since when"]]))
    .action(async () => {
      const run = invocation();
      const { readGuard } = await import("../../pipelines/guard.js");
      const { store } = await openDeclared(run);
      try {
        const { sets } = await readGuard(store);
        const listed = sets.map(({ name, images, distance, from, atMs }) => ({ name, images, distance, from, atMs }));
        const rows = listed.map((one) => [
          one.name,
          one.images,
          one.distance,
          new Date(one.atMs).toISOString(),
          one.from,
        ]);
        run.result(
          sets.length === 0
            ? "Nothing is guarded: `sluice guard add <name> <folder>` keeps a test set out of every version."
            : tableText(["set", "images", "distance", "since", "read from"], rows),
          { sets: listed },
        );
      } finally {
        await store.close();
      }
    });

  command
    .command("drop")
    .summary("guard a set no more")
    .description(
      "From then on the set's images may be chosen again. Versions that were made stay, and so does what was said.",
    )
    .argument("<name>", "what the set is called")
    .addHelpText("after", exampleText([["sluice guard drop holdout", "its images may be chosen again"]]))
    .action(async (name: string) => {
      const run = invocation();
      const { dropGuard } = await import("../../pipelines/guard.js");
      const { store } = await openDeclared(run);
      try {
        await dropGuard(store, name, run.terminal.nowMs());
        run.result(`${name} is guarded no more; the next version may have its images.`, { name });
      } finally {
        await store.close();
      }
    });
};

function addedText({ set, refused, replaces }: Guarded): string {
  const others = Object.entries(refused);
  const passed =
    others.length === 0
      ? ""
      : ` Not pictures: ${others.map(([code, count]) => `${code} ${countText(count)}`).join(", ")}.`;
  const said = replaces ? `The set ${set.name} now is` : `${set.name} is guarded:`;
  return `${said} ${counted(set.images, "image")}, and what differs from one of them in at most ${set.distance} bits, ${replaces ? "which " : ""}enter no version from now on.${passed} \`sluice rebuild\` makes one at once.`;
}
