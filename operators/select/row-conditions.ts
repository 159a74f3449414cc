import type { ImageNote } from "../../schemas/image-notes.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { instantMs, type RangeCondition, type TextCondition, type Where } from "../../schemas/where.js";

/** What of an archived row conditions are on. A version's index has no scores of other classes: there the gates are not tested. */
export type ConditionColumns = Pick<
  ScoredBatch,
  "eventTimeMs" | "sizeBytes" | "width" | "height" | "licence" | "origin" | "notes"
> &
  Partial<Pick<ScoredBatch, "topM" | "keys" | "logSumExp">>;

/** A condition of `select.where`, by its name there. */
export type ConditionName = keyof Where;

/** Tells the first condition that a row does not meet; null: it meets all of them. */
export type RowTest = (batch: ConditionColumns, row: number) => ConditionName | null;

/** null where nothing is asked of a row. */
export function rowTest(where: Where | undefined): RowTest | null {
  if (where === undefined) return null;
  const tests: { readonly name: ConditionName; readonly meets: (batch: ConditionColumns, row: number) => boolean }[] =
    [];
  for (const name of ["licence", "origin"] as const) {
    const meets = textTest(where[name]);
    if (meets !== null) tests.push({ name, meets: (batch, row) => meets(batch[name].get(row)) });
  }
  for (const name of ["width", "height", "sizeBytes"] as const) {
    const { least = 0, most = Number.POSITIVE_INFINITY }: RangeCondition = where[name] ?? {};
    if (least === 0 && most === Number.POSITIVE_INFINITY) continue;
    tests.push({ name, meets: (batch, row) => batch[name][row]! >= least && batch[name][row]! <= most });
  }
  const { from = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = where.eventTime ?? {};
  const [fromMs, untilMs] = [instantMs(from), instantMs(until)];
  if (fromMs !== Number.NEGATIVE_INFINITY || untilMs !== Number.POSITIVE_INFINITY) {
    tests.push({
      name: "eventTime",
      meets: (batch, row) => {
        const timeMs = Number(batch.eventTimeMs[row]!);
        return timeMs >= fromMs && timeMs < untilMs;
      },
    });
  }
  const { any, none } = where.notes ?? {};
  if (any !== undefined || none !== undefined) {
    tests.push({
      name: "notes",
      meets: (batch, row) => {
        const noted = (batch.notes.get(row) ?? "").split(",") as ImageNote[];
        return (
          any?.some((note) => noted.includes(note)) !== false && none?.some((note) => noted.includes(note)) !== true
        );
      },
    });
  }
  const { confidence, logSumExp } = where;
  if (confidence !== undefined) {
    const least = Math.log(confidence.least);
    tests.push({
      name: "confidence",
      meets: ({ keys, topM = 0 }, row) => keys === undefined || keys[row * topM]! >= least,
    });
  }
  if (logSumExp !== undefined)
    tests.push({
      name: "logSumExp",
      meets: (batch, row) => !(batch.logSumExp && batch.logSumExp[row]! < logSumExp.least),
    });
  if (tests.length === 0) return null;
  return (batch, row) => tests.find(({ meets }) => !meets(batch, row))?.name ?? null;
}

function textTest(condition: TextCondition | undefined): ((value: string | null) => boolean) | null {
  if (condition === undefined) return null;
  const list = "not" in condition ? condition.not : condition;
  const exact = new Set(list);
  const starts = list.flatMap((text) => (text?.endsWith("*") === true ? [text.slice(0, -1)] : []));
  const isListed = (value: string | null): boolean =>
    exact.has(value) || (value !== null && starts.some((start) => value.startsWith(start)));
  return "not" in condition ? (value) => !isListed(value) : isListed;
}

/** What is asked of an image, in words: `licence one of CC0, CC-BY`. */
export function conditionWords(where: Where | undefined): string[] {
  if (where === undefined) return [];
  const { eventTime, notes, confidence, logSumExp } = where;
  const text = (name: "licence" | "origin"): string[] => {
    const condition: TextCondition | undefined = where[name];
    if (condition === undefined) return [];
    const words = ("not" in condition ? condition.not : condition).map((one) => one ?? "not known").join(", ");
    return [`${name} ${"not" in condition ? "none" : "one"} of ${words}`];
  };
  const range = (name: "width" | "height" | "sizeBytes", called: string): string[] => {
    const { least, most }: RangeCondition = where[name] ?? {};
    const words = [
      ...(least === undefined ? [] : [`at least ${least}`]),
      ...(most === undefined ? [] : [`at most ${most}`]),
    ];
    return words.length === 0 ? [] : [`${called} ${words.join(" and ")}`];
  };
  return [
    ...text("licence"),
    ...text("origin"),
    ...range("width", "width in px"),
    ...range("height", "height in px"),
    ...range("sizeBytes", "size in bytes"),
    ...(eventTime?.from === undefined ? [] : [`time not before ${eventTime.from}`]),
    ...(eventTime?.until === undefined ? [] : [`time before ${eventTime.until}`]),
    ...(notes?.any === undefined ? [] : [`notes with ${notes.any.join(" or ")}`]),
    ...(notes?.none === undefined ? [] : [`notes without ${notes.none.join(", ")}`]),
    ...(confidence === undefined ? [] : [`a best class of probability ${confidence.least} or more`]),
    ...(where.scores ?? []).map(
      ({ teacher, class: index, least = 0, most = 1 }) =>
        `class #${index} of teacher ${teacher.slice(0, 12)} at a probability of ${least} to ${most}`,
    ),
    ...(logSumExp === undefined ? [] : [`a log-sum-exp of the logits of ${logSumExp.least} or more`]),
  ];
}
