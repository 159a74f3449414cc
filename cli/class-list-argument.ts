import { InvalidArgumentError } from "commander";

/** What a flag that takes such a list says of itself. */
export const CLASS_LIST =
  "only these classes, by label or number, such as cat,dog,#12; repeatable; a label with a comma has quotes around it: '\"tench, Tinca tinca\",dog'";

/**
 * Names of classes with commas between, `cat,#12`; one that has a comma is quoted: `"tench, Tinca tinca",cat`, a quote in it doubled.
 * `before`: what the same flag said earlier on the command line.
 */
export function classListArgument(text: string, before: readonly string[] = []): string[] {
  const names = [...before];
  for (let at = 0; at <= text.length;) {
    const rest = text.slice(at);
    const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(rest);
    const plain = /^[^,]*/.exec(rest)![0];
    if (quoted === null && plain.startsWith('"')) {
      throw new InvalidArgumentError(`Expected a closing quote, and a comma after it, in ${rest}.`);
    }
    names.push(quoted === null ? plain.trim() : quoted[1]!.replaceAll('""', '"'));
    at += (quoted?.[0] ?? plain).length + 1;
  }
  if (names.includes("")) {
    throw new InvalidArgumentError("Expected names of classes with commas between, found an empty one.");
  }
  return names;
}
