import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { resolve } from "node:path";
import { EXIT, messageOf, SluiceError } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import type { Invocation } from "../invocation.js";
import { erasedObject, erasedText } from "../report/erased.js";
import { versionNamed } from "../version-name.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Flags {
  readonly from?: string;
  readonly of: string;
  readonly by?: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly purgeVersions?: boolean;
  readonly cutTopic?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Erases images for ever: records that each is erased, then takes its bytes, uri and embedding out of packs, archive, versions and log. Digest, scores and perceptual hash stay, so " +
        "that every version keeps its id; later versions leave the image out, and it is not stored when it comes again. Says what that is, and does it with --yes. Cannot be undone. " +
        "Without images it goes on with what was recorded before.",
    )
    .argument("[images...]", "SHA-256 of images, or its first digits as a version's contact sheets have them")
    .option("--from <file>", "a file with one of them a line, or - for standard input")
    .option("--of <version>", "the version that first digits mean", "latest")
    .option("--reason <text>", "why; recorded with it")
    .option("--by <name>", "who says so; recorded with it")
    .option("--dry-run", "say what would go, and change nothing; as without --yes")
    .option("--yes", "do it")
    .option("--purge-versions", "of a bucket that keeps old versions of objects, remove those, too")
    .option(
      "--cut-topic",
      "delete what the images topic has up to the last erased record, where every teacher has archived all of that",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice erase 3f0c91d2", "what would go of the image of the newest version whose SHA-256 begins so"],
        ["sluice erase --from requests.txt --reason 'asked by its owner' --by anna --yes", "erases many at once"],
        ["sluice erase --yes", "goes on with an erasure that was killed"],
      ]),
    )
    .action(async (given: string[], flags: Flags) => {
      const run = invocation();
      const { nowMs } = run.terminal;
      const named = [...given, ...(flags.from === undefined ? [] : await linesOf(run, flags.from))];
      const isChange = flags.yes === true && flags.dryRun !== true;
      const { eraseImages } = await import("../../pipelines/erase.js");
      await longWork(run, async ({ onProgress, stop }) => {
        const { config, store } = await openDeclared(run);
        try {
          const done = await eraseImages({
            config,
            store,
            digests: await digestsOf(named, async (texts) => {
              const { digestsFrom } = await import("../../pipelines/versions/label-images.js");
              const { readManifest } = await import("../../pipelines/versions/versions.js");
              const { dataset, version } = await versionNamed(store, config, flags.of);
              return digestsFrom(store, await readManifest(store, dataset, version), texts);
            }),
            by: flags.by ?? null,
            reason: flags.reason ?? null,
            dryRun: !isChange,
            purge: flags.purgeVersions === true,
            cutTopic: flags.cutTopic === true,
            nowMs,
            attempt: () => randomBytes(6).toString("hex"),
            onProgress,
            signal: stop,
          });
          if (done.refused.length + done.waiting.length > 0) run.exitCode = EXIT.failed;
          run.result(erasedText(done, isChange), erasedObject(done, isChange));
        } finally {
          await store.close();
        }
      });
    });
};

const FULL = /^[0-9a-f]{64}$/;
const SHORT = /^[0-9a-f]{6,63}$/;

async function digestsOf(
  named: readonly string[],
  complete: (texts: readonly string[]) => Promise<string[]>,
): Promise<string[]> {
  const texts = named.map((text) => text.replace(/^sha256:/i, "").toLowerCase());
  const wrong = texts.findIndex((text) => !FULL.test(text) && !SHORT.test(text));
  if (wrong >= 0) {
    throw new SluiceError(
      "E_USAGE",
      `Expected an image's SHA-256 (64 hexadecimal digits, or at least the first six of an image of a version), found "${named[wrong]}". Nothing was erased.`,
    );
  }
  return texts.some((text) => SHORT.test(text)) ? complete(texts) : texts;
}

/** Without empty lines and what follows a #. */
async function linesOf(run: Invocation, path: string): Promise<string[]> {
  let text: string;
  try {
    text = path === "-" ? await readAll(process.stdin) : await readFile(resolve(run.terminal.folder, path), "utf8");
  } catch (cause) {
    throw new SluiceError("E_USAGE", `Expected a file of digests at ${path}, found none: ${messageOf(cause)}.`, {
      cause,
    });
  }
  return text.split("\n").flatMap((line) => line.replace(/#.*/, "").trim() || []);
}
