/** A line of a block: words of a command that needs no shell, or what a shell must read. */
export type ShellLine = { readonly words: readonly string[] } | { readonly text: string };

/** What a shell does more than split into words */
const SHELL = /[|&;<>$`\\(){}*?~=]/;
/** What one line leaves to the next ones */
const LASTING = /^\s*(cd|export|set|unset|alias|trap|if|for|while|\w+=)\b|<<|\\$|^\s*\w+=/m;
const WORD = /(?:'[^']*'|"[^"$`\\]*"|[^\s'"])+/g;

/** The lines of a script where each stands for itself; null where a shell must read all of it together. Comments are left out. */
export function shellLines(script: string): ShellLine[] | null {
  if (LASTING.test(script)) return null;
  return script
    .split("\n")
    .map((line) => lineOf(line.trim()))
    .filter((line) => !("words" in line) || line.words.length > 0);
}

function lineOf(text: string): ShellLine {
  const words = text.match(WORD) ?? [];
  const comment = words.findIndex((word) => word.startsWith("#"));
  const said = comment < 0 ? words : words.slice(0, comment);
  const bare = said.map((word) => word.replaceAll(/'[^']*'|"[^"$`\\]*"/g, ""));
  // A value behind `=` is a word's; an assignment in front of a command is a shell's.
  const isPlain = bare.every(
    (word, at) => !SHELL.test(at === 0 ? word : word.replaceAll("=", "")) && !/['"]/.test(word),
  );
  if (!isPlain) return { text };
  return { words: said.map((word) => word.replaceAll(/'([^']*)'|"([^"$`\\]*)"/g, "$1$2")) };
}
