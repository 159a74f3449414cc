import type { Declarations } from "../../pipelines/open/declare.js";
import type { ClassChanges } from "../../pipelines/teachers/class-changes.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import { changeText, type DeclarationChange } from "../../schemas/declaration-changes.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { ALL_LAYERS, NO_LAYERS } from "../config/given-settings.js";
import { assignedDataset } from "../dataset-assignments.js";
import { declareCall } from "../declare-call.js";
import { declaredAs, declaredAt, openDeclared, settledForChange } from "../declared-config.js";
import { datasetNamed, openExistingStore, type OpenedStore } from "../existing-store.js";
import type { Invocation } from "../invocation.js";
import { otherClasses, otherClassesText } from "../teacher/other-classes.js";
import { listObject, listText, showText, streamText, type VersionsOf } from "../report/datasets.js";

interface ChangeFlags {
  readonly dryRun?: boolean;
  readonly teacher?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description(
      "What a data folder (or bucket) remembers: datasets with their selection, window and trigger; the teacher, decode settings and " +
        "sources of the stream. Every command takes it from there. `ingest`, `datasets set`, `datasets apply` and `datasets drop` change it.",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice datasets list", "what is declared, and how many versions each has"],
        ["sluice datasets set default k=500 p=1", "other parameters from now on; the next version has them"],
        ["sluice datasets apply --dry-run", "what sluice.yaml would change"],
        ["sluice datasets drop default", "no more versions of it; those that there are stay"],
      ]),
    );

  command
    .command("list")
    .summary("what is declared, and what has versions")
    .description("Lists the declared datasets, those that have versions alone, and what is declared of the stream.")
    .addHelpText("after", exampleText([["sluice datasets list --json", "all of it, for programs"]]))
    .action(async () => {
      const run = invocation();
      const { declared, store } = await openDeclared(run);
      try {
        const versions = await versionsOf(store, declared);
        run.result(listText(declared, versions), listObject(declared, versions));
      } finally {
        await store.close();
      }
    });

  command
    .command("show")
    .summary("one dataset, setting by setting, with its revisions")
    .description(
      "Prints what is declared of a dataset, and when it was declared by which command; then the stream's settings.",
    )
    .argument("[dataset]", "without one, the first")
    .addHelpText("after", exampleText([["sluice datasets show flowers", "every setting of it"]]))
    .action(async (name: string | undefined) => {
      const run = invocation();
      const { datasetRevisions } = await import("../../pipelines/open/declare.js");
      const { config, declared, store } = await openDeclared(run);
      try {
        const wanted = datasetNamed(config, name).name;
        const standing = declared.datasets.find((one) => one.name === wanted)!;
        const revisions = await datasetRevisions(store, wanted);
        const { settings, stream } = declared;
        const of = settings === null ? "nothing is declared of it" : streamText(settings);
        run.result(`${showText(standing, revisions)}\n\nstream ${stream}: ${of}`, {
          ...standing,
          revisions,
          settings,
        });
      } finally {
        await store.close();
      }
    });

  command
    .command("set")
    .summary("change settings of one dataset, or declare another")
    .description(
      "Declares settings of one dataset; those that are not named stay. A dataset of that name is declared where there is none. " +
        "An empty value takes a setting back to its default.",
    )
    .argument("<dataset>", "its name")
    .argument("<settings...>", "setting=value, as in sluice.yaml below a dataset or its select: k=500, window.kind=…")
    .option("--dry-run", "say what would change, and declare nothing")
    .addHelpText(
      "after",
      exampleText([
        ["sluice datasets set flowers k=500 floor=0.1", "K and the floor; P and all else stay"],
        [
          "sluice datasets set daily k=200 'window={kind: tumbling, sizeMs: 86400000}'",
          "one more dataset over the stream",
        ],
        [
          "sluice datasets set daily 'trigger={everyImages: 10000}'",
          "when `ingest --follow` and `run publish` publish",
        ],
        ["sluice datasets set daily trigger=", "the default again: at each window's end"],
      ]),
    )
    .action(async (name: string, assignments: string[], flags: ChangeFlags) => {
      const run = invocation();
      const given = await run.given();
      const declared = await declaredAt(given);
      const isFirst = declared.settings === null;
      const { config, namesTeacher } = given.over(declared, isFirst ? ALL_LAYERS : NO_LAYERS);
      const standing = declared.datasets.find((one) => one.name === name)?.dataset ?? null;
      const { dataset, openP } = assignedDataset(name, standing, assignments, config.archive);
      const wanted = { config: { ...config, datasets: [dataset] }, openP: new Set(openP ? [name] : []), namesTeacher };
      await change(run, { declared, ...wanted }, flags, "sluice datasets set");
    });

  command
    .command("apply")
    .summary("declare what sluice.yaml says")
    .description(
      "Declares what sluice.yaml, the environment and flags say: datasets, the teacher, decode, archive and bytes settings. What they do not say stays.",
    )
    .option("-t, --teacher <path>", "the classifier: a model file, a model card, or a folder with one")
    .option("--dry-run", "say what would change, and declare nothing")
    .addHelpText(
      "after",
      exampleText([
        ["sluice datasets apply --dry-run", "how sluice.yaml differs from what is declared"],
        ["sluice datasets apply --teacher student/", "another teacher from now on"],
        ["sluice datasets apply --set decode.cmyk=convert", "a setting of the stream"],
      ]),
    )
    .action(async (flags: ChangeFlags) => {
      const run = invocation();
      const given = await run.given([{ flag: "--teacher", path: ["teacher"], value: flags.teacher }]);
      const declared = await declaredAt(given);
      await change(run, { declared, ...settledForChange(given, declared) }, flags, "sluice datasets apply");
    });

  command
    .command("drop")
    .summary("end a dataset; its versions stay")
    .description(
      "Ends a dataset: no command makes versions of it any more, until it is declared again. Its versions stay, and `versions` commands name them.",
    )
    .argument("<dataset>", "its name")
    .option("--dry-run", "say what would change, and declare nothing")
    .addHelpText("after", exampleText([["sluice datasets drop flowers", "the last revision says that it was dropped"]]))
    .action(async (name: string, flags: ChangeFlags) => {
      const run = invocation();
      const { dropDataset } = await import("../../pipelines/open/declare.js");
      const { config, declared, store } = await openDeclared(run);
      try {
        datasetNamed(config, name);
        const dryRun = flags.dryRun === true;
        if (!dryRun) {
          await dropDataset(store, declared, name, { by: "sluice datasets drop", nowMs: run.terminal.nowMs() });
        }
        run.result(dryRun ? `Would drop dataset ${name}.` : `Dropped dataset ${name}. Its versions stay.`, {
          dropped: name,
          dryRun,
        });
      } finally {
        await store.close();
      }
    });
};

interface WantedChange {
  readonly declared: Declarations;
  readonly config: Config;
  readonly openP: ReadonlySet<string>;
  readonly namesTeacher: boolean;
}

/** Declares, after all that `ingest` would refuse has been refused. */
async function change(
  run: Invocation,
  { declared, config: asked, openP, namesTeacher }: WantedChange,
  { dryRun = false }: ChangeFlags,
  by: string,
): Promise<void> {
  const { wantedChanges, withChosenP } = await import("../../pipelines/open/declare.js");
  const { assertAnswerable } = await import("../../pipelines/flow/answerable.js");
  const { openStore } = await import("../../pipelines/open/workspace.js");
  const { teacher, card } = await teacherOf(asked, declared, namesTeacher);
  const config = card === null ? asked : withChosenP(asked, openP, card);
  if (card === null && openP.size > 0) {
    const [first = ""] = openP;
    throw new SluiceError(
      "E_CONFIG",
      `Expected a teacher to choose P of dataset "${first}" by (1 where there are 10 classes or fewer), or P itself, found neither. Say p=…, or name the teacher: \`sluice datasets apply --teacher <path>\`.`,
    );
  }
  if (card !== null) assertAnswerable(config, card);
  const call = { config, teacher, by, nowMs: run.terminal.nowMs() };
  const before = declared.settings?.teacher ?? null;
  const others = async (): Promise<ClassChanges | null> => {
    if (teacher === null || card === null || before === null || teacher.digest === before.digest) return null;
    const store = await openExistingStore(config);
    try {
      return await otherClasses({ config, store, before, teacher, labels: card.labels });
    } finally {
      await store.close();
    }
  };
  const classes = await others();
  let changes: DeclarationChange[];
  if (dryRun) {
    const { streamSettingsOf } = await import("../../schemas/declaration.js");
    const { settings } = declared;
    const stream = streamSettingsOf(config, teacher ?? settings?.teacher ?? null, settings?.sources ?? [], settings);
    changes = wantedChanges(declared, { settings: stream, datasets: config.datasets });
  } else {
    const store = await openStore(config);
    try {
      changes = await declareCall(store, declared, call, { say: () => undefined });
    } finally {
      await store.close();
    }
  }
  const head =
    changes.length === 0 ? "Nothing changes: all of it is declared already." : dryRun ? "Would declare:" : "Declared:";
  const goesOn = { path: config.teacher ?? "", scores: false, isDeclared: !dryRun };
  const said = classes === null ? [] : otherClassesText(run, classes, goesOn);
  run.result([head, ...changes.map((one) => `  ${changeText(one)}`), ...said].join("\n"), { dryRun, changes, classes });
}

/** The teacher that is named, or else the declared one, by the card that the store has of it or by its files. */
async function teacherOf(
  config: Config,
  declared: Declarations,
  namesTeacher: boolean,
): Promise<{ readonly teacher: DeclaredTeacher | null; readonly card: Card | null }> {
  const { namedTeacher } = await import("../../pipelines/open/open-scoring.js");
  const known = declared.settings?.teacher ?? null;
  if (namesTeacher) {
    const loaded = await namedTeacher(config);
    return { teacher: await declaredAs(loaded, config), card: loaded.card };
  }
  if (known === null) return { teacher: null, card: null };
  const { publishersCard } = await import("../../pipelines/kafka/run-publish.js");
  const store = await openExistingStore(config);
  try {
    return { teacher: known, card: await publishersCard(config, store, undefined, known) };
  } finally {
    await store.close();
  }
}

type Card = Awaited<ReturnType<typeof import("../../pipelines/kafka/run-publish.js").publishersCard>>;

async function versionsOf(store: OpenedStore, { datasets }: Declarations): Promise<VersionsOf> {
  const { publishedDatasets, versionNumbers } = await import("../../pipelines/versions/versions.js");
  const versions = new Map<string, { count: number; newest: number | null }>();
  for (const name of new Set([...datasets.map((one) => one.name), ...(await publishedDatasets(store))])) {
    const numbers = await versionNumbers(store, name);
    versions.set(name, { count: numbers.length, newest: numbers.at(-1) ?? null });
  }
  return versions;
}
