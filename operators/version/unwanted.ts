import { countText, counted } from "../../schemas/counted.js";
import type { Allowance } from "../../schemas/allowance.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { conditionWords } from "../select/row-conditions.js";

/** The codes that a version is refused with, so that a process which goes on knows them. */
export const UNWANTED_CODES = ["E_PUBLISH_EMPTY", "E_PUBLISH_ABSENT", "E_PUBLISH_STARVING"] as const;

type Told = Pick<Manifest, "dataset" | "select"> & {
  readonly classes: readonly Pick<Manifest["classes"][number], "starving" | "k" | "count">[];
  readonly rows: number;
  readonly records: Manifest["totals"]["records"];
};

/** Throws E_PUBLISH_EMPTY, E_PUBLISH_STARVING for a version that its rows alone show to be unwanted. */
export function refuseUnwantedRows({ dataset, select, classes, rows, records }: Told, allow: Allowance): void {
  const { scored, copied, quarantined } = records;
  if (rows === 0 && !allow.empty) {
    const asked = conditionWords(select.where);
    throw new SluiceError(
      "E_PUBLISH_EMPTY",
      `Expected rows for a version of "${dataset}", found none: ${scored + copied === 1 ? "1 image is" : `${countText(scored + copied)} images are`} scored, ${countText(quarantined)} quarantined. Nothing was published. ` +
        `${quarantined === 0 ? "" : "`sluice quarantine list` says what was refused, "}\`sluice status\` how full the classes are. ${asked.length === 0 ? "" : `The dataset asks for images with ${asked.join("; ")}: \`sluice whatif\` says how many rows each condition leaves out. `}To publish it all the same: --allow-empty.`,
      { dataset, records },
    );
  }
  // With a floor, or with one class an image, P does not say how many classes an image stands for.
  const everywhere = select.p >= classes.length && classes.length > 1 && select.floor === 0 && select.overlap === "all";
  if (rows > 0 && everywhere && classes.every(({ starving }) => starving) && !allow.starving) {
    const most = Math.max(...classes.map(({ count }) => count));
    throw new SluiceError(
      "E_PUBLISH_STARVING",
      `Expected a selection in dataset "${dataset}", found every image in every class: P is ${select.p} with ${classes.length} classes, and the fullest class has ${most} of ` +
        `K = ${Math.max(...classes.map(({ k }) => k))}. Nothing was published. Set a smaller p (1 to ${classes.length - 1}) or a smaller k in the dataset's select, or take in more images. ` +
        "To publish it all the same: --allow-starving.",
      { dataset, p: select.p, classes: classes.length, rows },
    );
  }
}

/** Throws E_PUBLISH_ABSENT where `lost` rows have no bytes that had them. `first`: some of them, for people. */
export function refuseLostBytes(
  { dataset, rows }: { readonly dataset: string; readonly rows: number },
  lost: number,
  first: readonly { readonly uri: string; readonly reason: string }[],
  allow: Allowance,
): void {
  if (lost === 0 || allow.absentBytes) return;
  const one = first[0];
  const example = one === undefined ? "" : `, such as ${one.uri} (${one.reason})`;
  throw new SluiceError(
    "E_PUBLISH_ABSENT",
    `Expected the bytes of ${counted(rows, "row")} of "${dataset}", found none for ${lost} that had them when they were archived${example}. Nothing was published. ` +
      "If the images were moved, say where to with `sluice relocate <old> <new>`, or take them in from where they are with `sluice ingest`; then publish again. " +
      "To publish it without them: --allow-absent-bytes.",
    { dataset, rows, lost, first: first.slice(0, 10).map(({ uri, reason }) => ({ uri, reason })) },
  );
}
