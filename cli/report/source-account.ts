import {
  passedOverText,
  type PassedOver,
  type PassedOverReason,
  type SourceAccount,
} from "../../schemas/source-account.js";
import { countText } from "../../schemas/counted.js";

/** Extensions named of those that --include leaves out */
const NAMED = 5;

/** What a source had, where something of it was passed over: numbers that add up, and each reason. null where all was taken. */
export function sourceAccountText({ given, taken, known, passedOver }: SourceAccount): string | null {
  const reasons = Object.entries(passedOver) as [PassedOverReason, PassedOver][];
  if (reasons.length === 0) return null;
  const total = reasons.reduce((sum, [, { count }]) => sum + count, 0);
  const parts = [
    `${countText(taken)} taken`,
    ...(known === 0 ? [] : [`${countText(known)} known from before`]),
    `${countText(total)} passed over`,
  ];
  return [`Source: found ${countText(given)}: ${parts.join(", ")}`, ...reasons.map(reasonText)].join("\n  ");
}

/** Whether something that somebody may have meant to be taken was not. */
export function isTelling({ passedOver }: SourceAccount): boolean {
  return Object.keys(passedOver).some((reason) => !EXPECTED.has(reason as PassedOverReason));
}

/** What lies beside images in most data sets */
const EXPECTED: ReadonlySet<PassedOverReason> = new Set([
  "sidecar",
  "besideShards",
  "folderMark",
  "store",
  "ownFolder",
]);

function reasonText([reason, { count, first, extensions }]: [PassedOverReason, PassedOver]): string {
  const named = Object.entries(extensions ?? {})
    .sort(([, a], [, b]) => b - a)
    .slice(0, NAMED)
    .map(([extension, many]) => `${extension === "" ? "no extension" : extension} ${countText(many)}`);
  const remedy = REMEDIES[reason];
  return (
    `${passedOverText(reason, count)}, such as ${first}` +
    `${named.length === 0 ? "" : ` (${named.join(", ")})`}${remedy === undefined ? "" : ` (${remedy})`}`
  );
}

const REMEDIES: Partial<Record<PassedOverReason, string>> = {
  link: "--follow-links takes them",
  shard: "give the shards themselves as sources",
};
