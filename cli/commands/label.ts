import type { Command } from "commander";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { LabelsRead } from "../../pipelines/versions/label-lines.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import type { OpenedStore } from "../existing-store.js";
import type { Invocation } from "../invocation.js";
import { declareLabelImport } from "../label-import.js";
import { withLabelTopic } from "../label-topic.js";
import { rowsArgument, type RowsNamed } from "../rows-argument.js";
import { wholeNumber } from "../number-argument.js";
import { versionNamed } from "../version-name.js";
import { countText, counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";

const DIGESTS = "SHA-256 of images, or its first digits as a version's contact sheets have them";

/** Takes labels in, and says what became of them. */
export type AppendLabels = typeof append;

interface Flags {
  readonly rows?: RowsNamed;
  readonly of: string;
  readonly by?: string;
  readonly anyClass?: boolean;
}

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice label not cat --rows cat:3,7-9", "those rows of the newest version are no cats"],
      [
        "sluice label is dog 3f0c91d2",
        "a dog and nothing else: the image of the newest version whose SHA-256 begins so",
      ],
      ["sluice rebuild", "a version without the rows that were retracted"],
    ]),
  );

  const say = (
    name: string,
    verdict: "is" | "not" | "none" | "duplicate" | "withdrawn",
    [summary, description]: readonly [string, string],
  ): void => {
    const named = verdict === "is" || verdict === "not";
    const one = command.command(name).summary(summary).description(description);
    if (named) one.argument("<class>", "one of the teacher's labels");
    one.argument("[images...]", DIGESTS);
    declareFlags(one).action(async (...given: unknown[]) => {
      const [first, second, third] = given;
      const className = named ? (first as string) : null;
      const images = (named ? second : first) as string[];
      const flags = (named ? third : second) as Flags;
      await append(invocation(), flags, async (config, store, saying) => {
        const { digestsAt, digestsFrom, isShortDigest, labelsOf } =
          await import("../../pipelines/versions/label-images.js");
        let digests = [...images];
        if (flags.rows !== undefined || digests.some(isShortDigest)) {
          const { readManifest } = await import("../../pipelines/versions/versions.js");
          const { dataset, version } = await versionNamed(store, config, flags.of);
          const manifest = await readManifest(store, dataset, version);
          digests = await digestsFrom(store, manifest, digests);
          if (flags.rows !== undefined)
            digests.push(...(await digestsAt(store, manifest, flags.rows.label, flags.rows.ranks)));
        }
        if (digests.length === 0) {
          throw new SluiceError(
            "E_USAGE",
            "Expected images, by their SHA-256 or with --rows, found none. See `sluice label --help`.",
          );
        }
        const statement = verdict === "is" || verdict === "not" ? { verdict, class: className ?? "" } : { verdict };
        return labelsOf(digests, statement, saying);
      });
    });
  };
  say("is", "is", ["images are of this class and of no other", "Takes images out of all classes but one."]);
  say("not", "not", ["images are not of this class", "Takes images out of one class."]);
  say("none", "none", ["images are of no class at all", "Takes images out of every class."]);
  say("duplicate", "duplicate", [
    "images are duplicates: others stand for them",
    "Takes images out of every class, without saying what they show: audits do not count them.",
  ]);
  say("withdraw", "withdrawn", ["nothing said of images holds any more", "Withdraws all that was said of images."]);

  declareLabelImport(command, invocation, append);

  command
    .command("list")
    .summary("all that was said")
    .description("Lists the labels of the stream in their order; with --json in the form that `label import` reads.")
    .option("--limit <n>", "the newest n; --json has all", wholeNumber, 50)
    .option("--waiting", "only labels of images that were not seen here yet")
    .addHelpText("after", exampleText([["sluice label list --limit 5", "the last five"]]))
    .action(async (flags: { limit: number; waiting?: boolean }) => {
      const run = invocation();
      const { listLabels } = await import("../../pipelines/versions/label-images.js");
      const { config, store } = await openDeclared(run);
      try {
        const labels: ImageLabel[] = [];
        for await (const label of listLabels(store, config.stream)) labels.push(label);
        const { waitingLabels } = await import("../../pipelines/versions/waiting-labels.js");
        const listed = flags.waiting === true ? await waitingLabels(store, config.stream, labels) : labels;
        const none = flags.waiting === true && labels.length > 0 && listed.length === 0;
        run.result(
          none ? "No label waits: all images that people labelled were seen here." : listText(listed, flags.limit),
          {
            count: listed.length,
            labels: listed,
          },
        );
      } finally {
        await store.close();
      }
    });
};

function declareFlags(command: Command): Command {
  return command
    .option("--rows <class:ranks>", "images by their ranks in a version, say cat:3,7-9", rowsArgument)
    .option("--of <version>", "the version that --rows and first digits mean", "latest")
    .option("--by <name>", "who says so")
    .option("--any-class", "accept a class that no teacher has");
}

async function append(
  run: Invocation,
  { by, anyClass = false }: Pick<Flags, "by" | "anyClass">,
  labelsFrom: (
    config: Config,
    store: OpenedStore,
    saying: { readonly timeMs: number; readonly by: string | null },
  ) => Promise<readonly ImageLabel[] | LabelsRead>,
): Promise<void> {
  const { labelImages } = await import("../../pipelines/versions/label-images.js");
  const { waitingLabels } = await import("../../pipelines/versions/waiting-labels.js");
  const { config, store } = await openDeclared(run);
  try {
    const said = await labelsFrom(config, store, { timeMs: run.terminal.nowMs(), by: by ?? null });
    const { labels, placeOf } = "labels" in said ? said : { labels: said, placeOf: undefined };
    const { labelled, known, place } = await withLabelTopic(run, config, store, (topic) =>
      labelImages(store, config.stream, labels, { anyClass, topic, placeOf }),
    );
    const waiting = await waitingLabels(store, config.stream, labels);
    run.result(labelledText(labelled, known, rebuildHint(run, config)) + waitingText(waiting.length), {
      labelled,
      known,
      waiting: waiting.length,
      stream: config.stream,
      ...place,
    });
  } finally {
    await store.close();
  }
}

function labelledText(labelled: number, known: number, hint: string): string {
  if (labelled === 0 && known > 0)
    return `Nothing was appended: ${known === 1 ? "the label stands" : `all ${countText(known)} labels stand`} already.`;
  const stands = known === 0 ? "" : `, ${countText(known)} that ${known === 1 ? "stands" : "stand"} already`;
  return `${counted(labelled, "image")} labelled${stands}. ${labelled === 1 ? "It counts" : "They count"} in every version from now on${hint}.`;
}

function waitingText(waiting: number): string {
  if (waiting === 0) return "";
  return ` ${counted(waiting, "image")} of them ${waiting === 1 ? "was" : "were"} not seen here yet: what was said is kept until they come (\`sluice label list --waiting\`).`;
}

/** A rebuild of what is declared; where nothing is, there is nothing to make. */
function rebuildHint(run: Invocation, { datasets }: Config): string {
  const [only, ...rest] = datasets.map(({ name }) => name);
  if (only === undefined) return "";
  return `: \`${run.hint("rebuild", ...(rest.length === 0 ? [] : [only]))}\` makes one${rest.length === 0 ? "" : ` of ${only}`} at once`;
}

/** With its number, where several classes are called so */
function classText(label: ImageLabel): string {
  if (!("class" in label)) return "";
  return label.number === undefined ? label.class : `#${label.number} ${label.class}`;
}

function listText(labels: readonly ImageLabel[], limit: number): string {
  if (labels.length === 0) return "Nothing was said of any image yet.";
  const rows = labels
    .slice(Math.max(0, labels.length - limit))
    .map((label) => [
      new Date(label.timeMs).toISOString(),
      label.sha256,
      label.verdict,
      classText(label),
      label.by ?? "",
    ]);
  const all = counted(labels.length, "label");
  return [
    rows.length < labels.length ? `${all}, the newest ${countText(rows.length)}:` : `${all}:`,
    tableText(["time", "sha256", "verdict", "class", "by"], rows),
  ].join("\n");
}
