import { SluiceError } from "../../schemas/errors.js";
import { passedOverText, type PassedOverReason, type SourceAccount } from "../../schemas/source-account.js";
import { isImageName } from "./file-kinds.js";
import { shellWord } from "../../schemas/shell-word.js";

/** Something was passed over: what to add to the command, so that it is taken. */
const REMEDIES: Partial<Record<PassedOverReason, string>> = {
  link: "To take what links lead to, add `--follow-links`.",
  outside: "To follow them too, leave `--links-within` out, or name a folder that holds what they lead to.",
  brokenLink: "Fetch what they lead to (`dvc pull`, `git annex get .`).",
  hidden: "Give pictures names that do not begin with a dot.",
};

/** The refusal of a source that has nothing to take: what it had instead, and what to do. `place` is shown to people. */
export function nothingFound(
  place: string,
  account: SourceAccount,
  include: readonly string[] | undefined,
): SluiceError {
  const reasons = Object.entries(account.passedOver) as [PassedOverReason, { count: number; first: string }][];
  const found = reasons.map(([reason, { count, first }]) => `${passedOverText(reason, count)}, such as ${first}`);
  const remedies = reasons.flatMap(([reason]) => (reason === "excluded" ? [] : [REMEDIES[reason]]));
  const pattern = patternFor(account.passedOver.excluded?.extensions ?? {});
  if (pattern !== null) {
    remedies.push(
      `Globs are matched with whole paths below the source: use \`--include ${shellWord(pattern)}\`, or leave --include out.`,
    );
  }
  if (account.given === 0)
    remedies.push("Check the path. `sluice ingest … --follow` waits there for images that are still to come.");
  const said = remedies.filter((remedy) => remedy !== undefined).join(" ");
  const asked = include === undefined ? "" : ` that match ${include.join(" or ")}`;
  return new SluiceError(
    "E_SOURCE_EMPTY",
    `Expected images${asked} in ${place}, found ${found.length === 0 ? "nothing at all" : `none, only ${found.join("; ")}`}. ${said}`.trimEnd(),
    { place, account },
  );
}

/** A glob for the most frequent extension of images, null where there is none. */
function patternFor(extensions: Readonly<Record<string, number>>): string | null {
  const [best] = Object.entries(extensions)
    .filter(([extension]) => isImageName(`a${extension}`))
    .sort(([, a], [, b]) => b - a);
  return best === undefined ? null : `**/*${best[0].toLowerCase()}`;
}
