import { countText, counted } from "../../schemas/counted.js";
import type { IngestPlan, PlannedDataset } from "../../schemas/ingest-plan.js";
import { bytesText, durationText, tableText } from "../wording.js";

/** Classes printed of each dataset, the emptiest; `--json` has all */
const CLASSES_PRINTED = 12;

/** A plan for people. */
export function planText(plan: IngestPlan, source: string): string {
  const { images, sample, imagesPerS, time, engineHours, bytes, datasets } = plan;
  const refused = sample.quarantined === 0 ? "" : `, ${countText(sample.quarantined)} refused`;
  const seconds = (s: number): string => durationText(s * 1000);
  return [
    `Plan of ${source}: ${counted(images, "image")}, of which ${countText(sample.scored)} were scored${refused}. Nothing was archived or published.`,
    `  time    ${seconds(time.totalS)}: ${seconds(time.beginS + time.aroundS)} to begin and to end, ${seconds(time.scoreS)} scoring (${imagesPerS.toPrecision(3)} a second), ${seconds(time.publishS)} publishing`,
    `  engine  ${engineHours.toPrecision(2)} h`,
    `  bytes   scores ${bytesText(bytes.scores)}, kept images ${bytesText(bytes.kept)}, versions ${bytesText(bytes.versions)}`,
    ...datasets.flatMap(datasetLines),
    "Images that come twice, and those that were taken in before, take less.",
  ].join("\n");
}

function datasetLines({ dataset, rows, full, notForeseen, classes }: PlannedDataset): string[] {
  const emptiest = [...classes].sort((a, b) => a.rows / a.k - b.rows / b.k).slice(0, CLASSES_PRINTED);
  return [
    "",
    `Dataset ${dataset}: ${counted(rows, "row")} expected, ${countText(full)} of ${counted(classes.length, "class", "classes")} full`,
    ...notForeseen.map((one) => `  not foreseen: ${one}, by which there may be fewer`),
    tableText(
      ["class", "label", "rows", "from", "to", "K"],
      emptiest.map((one) => [String(one.class), one.label, one.rows, one.least, one.most, one.k]),
    ),
    ...(classes.length > emptiest.length
      ? [`  … and ${countText(classes.length - emptiest.length)} fuller ones (--json)`]
      : []),
    "",
  ];
}
