import { InvalidArgumentError } from "commander";

/** Names of classes with commas between, `cat,#12`; one that has a comma is quoted: `"tench, Tinca tinca",cat`, a quote in it doubled. */
export function classListArgument(text: string): string[] {
  const names: string[] = [];
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
  if (names.includes(""))
    throw new InvalidArgumentError("Expected names of classes with commas between, found an empty one.");
  return names;
}
