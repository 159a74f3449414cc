import { shellWord } from "../schemas/shell-word.js";

/** What a hint repeats of the call that printed it, so that it works as it stands. */
export interface HintPlaces {
  /** Of `--config`, `--data` and `--set`, as they were given */
  readonly config?: string;
  readonly data?: string;
  /** Settings that say where: `data=…`, `stream=…` */
  readonly set?: readonly string[];
  /** Whether the call was `npx sluice …`: there is no `sluice` on the path then */
  readonly byNpx?: boolean;
}

/** Commands that look at no data folder: their hints repeat no place. */
const PLACELESS = ["init", "help"];

/** The settings that tell one place's images from another's. */
const PLACE_SETTING = /^(data|stream)=/;

/** A text with each `sluice …` command in it as this call's terminal takes it: `sluice status --data pictures`. */
export function placedHints(text: string, places: HintPlaces): string {
  return text.replace(/`sluice( [^`\n]*)?`/g, (_hint, words = "") => {
    const said = String(words);
    return `\`${places.byNpx === true ? "npx " : ""}sluice${said}${placesFor(said, places)}\``;
  });
}

function placesFor(words: string, { config, data, set = [] }: HintPlaces): string {
  const given = words.split(" ").filter((word) => word !== "");
  const [command] = given;
  if (command === undefined || command.startsWith("-") || PLACELESS.includes(command) || given.includes("--help")) {
    return "";
  }
  const named = (...flags: string[]): boolean => given.some((word) => flags.includes(word));
  return [
    ...(config === undefined || named("--config", "-c") ? [] : ["--config", config]),
    ...(data === undefined || named("--data", "-d") ? [] : ["--data", data]),
    ...set.filter((assignment) => PLACE_SETTING.test(assignment)).flatMap((assignment) => ["--set", assignment]),
  ]
    .map((word) => ` ${shellWord(word)}`)
    .join("");
}
