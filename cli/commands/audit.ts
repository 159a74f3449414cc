import type { Audited } from "../../pipelines/audit.js";
import { counted } from "../../schemas/counted.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { wholeNumber } from "../number-argument.js";
import { versionNamed } from "../version-name.js";
import { writeOutput } from "../versions/output-file.js";
import { VERSION } from "../versions/version-argument.js";
import { tableText } from "../wording.js";

/** Enough for an interval of some 5 % */
const ROWS = 400;

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description(
      "Draws rows of a version at random, the same ones for the same seed, for people to judge; and says how many of those that they judged are right, with 95 % intervals. " +
        "A sample that is drawn at random tells of the version; labels of rows that somebody picked do not.",
    )
    .argument("<version>", VERSION)
    .option("--rows <n>", "rows drawn from the whole version", wholeNumber, ROWS)
    .option("--per-class <n>", "in place of that, so many rows of each class: its precision at K", wholeNumber)
    .option("--seed <n>", "another sample", wholeNumber, 0)
    .option(
      "--csv <file>",
      "write what nobody has judged yet, to be filled in (verdict: is, not, none) and read by `sluice label import`",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice audit latest --csv sample.csv", "400 rows to judge"],
        ["sluice label import sample.csv --by anna", "takes in the verdicts"],
        ["sluice audit latest", "how right the version is"],
      ]),
    )
    .action(async (text: string, flags: { rows: number; perClass?: number; seed: number; csv?: string }) => {
      const run = invocation();
      const { readManifest } = await import("../../pipelines/versions/versions.js");
      const { auditCsv, auditVersion } = await import("../../pipelines/audit.js");
      const { config, store } = await openDeclared(run);
      try {
        const { dataset, version } = await versionNamed(store, config, text);
        const manifest = await readManifest(store, dataset, version);
        const audited = await auditVersion(store, manifest, {
          rows: flags.rows,
          perClass: flags.perClass ?? null,
          seed: flags.seed,
        });
        const csv = flags.csv === undefined ? null : await writeOutput(run, flags.csv, auditCsv(audited), "--csv");
        run.result(auditText(audited, csv), { ...audited, csv });
      } finally {
        await store.close();
      }
    });
};

function auditText({ dataset, number, precision, classes, rows }: Audited, csv: string | null): string {
  const judged = rows.filter(({ right }) => right !== null).length;
  const whole =
    precision === null
      ? []
      : [
          `${precision.right} of ${counted(precision.judged, "judged row")} right: ${percent(precision.share)}, between ${percent(precision.low)} and ${percent(precision.high)} (95 %)`,
        ];
  const known = classes.filter((one) => one.precision !== null);
  return [
    `${counted(rows.length, "row")} of ${dataset}/${number} drawn, ${judged} of them judged.`,
    ...whole,
    ...(csv === null ? [] : [`To be judged: ${csv}; then \`sluice label import\` takes it in.`]),
    ...(judged === 0 && csv === null ? ["`--csv sample.csv` writes them down to be judged."] : []),
    ...(known.length === 0
      ? []
      : [
          "",
          tableText(
            ["class", "drawn", "judged", "right", "precision", "low", "high"],
            known.map(({ label, drawn, precision: one }) => [
              label,
              drawn,
              one!.judged,
              one!.right,
              percent(one!.share),
              percent(one!.low),
              percent(one!.high),
            ]),
          ),
        ]),
  ].join("\n");
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
