import { messageOf, SluiceError } from "../../schemas/errors.js";
import { labelTimeFault, opinionSchema, type ImageLabel } from "../../schemas/image-label.js";
import type { ForeignLabel } from "./label-file.js";
import type { Saying } from "./label-images.js";

export interface LabelsRead {
  readonly labels: readonly ImageLabel[];
  /** Where the label of that place in the list stands */
  readonly placeOf: (at: number) => string;
}

const EXAMPLE = '{"sha256": "…64 digits…", "verdict": "not", "class": "cat"}';

/**
 * Labels as JSON, one a line, or as one array: {"sha256", "verdict", "class"?, "timeMs"?, "by"?}. A byte order mark, empty lines and
 * digests in capitals do no harm. Throws E_USAGE, naming the line.
 */
export function parseLabelLines(text: string, where: string, saying: Saying): LabelsRead {
  const plain = text.replace(/^\uFEFF/, "");
  const found = plain.trimStart().startsWith("[")
    ? entriesOf(plain, where)
    : plain
        .split(/\r\n|\r|\n/)
        .map((line, at) => ({ line, place: `line ${at + 1} of ${where}` }))
        .filter(({ line }) => line.trim() !== "")
        .map(({ line, place }) => ({ value: parsed(line, place), place }));
  return {
    labels: found.map(({ value, place }) => labelOf(value, place, saying)),
    placeOf: (at) => found[at]!.place,
  };
}

/** Labels of another tool's file, once it is known which images they are of. Throws E_USAGE, naming the place. */
export function labelsOfForeign(
  labels: readonly ForeignLabel[],
  digests: readonly string[],
  saying: Saying,
): LabelsRead {
  const found = labels.map(({ verdict, class: named, timeMs, by, place }, at) => {
    const said = { timeMs: timeMs ?? saying.timeMs, by: by ?? saying.by };
    const value = { sha256: digests[at], verdict, ...(named === undefined ? {} : { class: named }), ...said };
    return labelOf(value, place, saying);
  });
  return { labels: found, placeOf: (at) => labels[at]!.place };
}

function entriesOf(text: string, where: string): { value: unknown; place: string }[] {
  const values = parsed(text, where);
  if (!Array.isArray(values)) throw noLabel(where, text);
  return values.map((value: unknown, at) => ({ value, place: `entry ${at + 1} of ${where}` }));
}

function parsed(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw noLabel(place, text, cause);
  }
}

function noLabel(place: string, text: string, cause?: unknown): SluiceError {
  const why = cause === undefined ? "" : ` (${messageOf(cause)})`;
  return new SluiceError("E_USAGE", `Expected JSON like ${EXAMPLE} in ${place}, found "${text.slice(0, 80)}"${why}.`, {
    cause,
  });
}

function labelOf(value: unknown, place: string, saying: Saying): ImageLabel {
  const given = typeof value === "object" && value !== null ? { ...saying, ...value } : null;
  const digest = given !== null && "sha256" in given ? given.sha256 : undefined;
  const label = opinionSchema.safeParse(
    typeof digest === "string" ? { ...given, sha256: digest.toLowerCase() } : given,
  );
  if (!label.success) {
    const issue = label.error.issues[0]!;
    throw new SluiceError(
      "E_USAGE",
      `Expected a label like ${EXAMPLE} in ${place}, found one where ${issue.path.join(".") || "the whole"} is wrong: ${issue.message}.`,
    );
  }
  const { timeMs } = label.data;
  const fault = timeMs === saying.timeMs ? null : labelTimeFault(timeMs);
  if (fault !== null) throw new SluiceError("E_USAGE", `Expected timeMs in ms since 1970 in ${place}, found ${fault}.`);
  return label.data;
}
