import { InvalidArgumentError } from "commander";

/** Rows of one class of a version. */
export interface RowsNamed {
  readonly label: string;
  /** From 1, ascending */
  readonly ranks: readonly number[];
}

/** More than anybody looks at one by one */
const MOST_RANKS = 100_000;

/** `cat:3,7-9`; the class may have colons in its name. */
export function rowsArgument(text: string): RowsNamed {
  const [, label, list] = /^(.+):([\d,-]+)$/.exec(text) ?? [];
  const ranks = new Set<number>();
  for (const part of list?.split(",") ?? []) {
    const [, from, to = from] = /^([1-9]\d{0,8})(?:-([1-9]\d{0,8}))?$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (!(first <= last) || last - first >= MOST_RANKS) throw new InvalidArgumentError(`"${part}" names no ranks.`);
    for (let rank = first; rank <= last; rank++) ranks.add(rank);
  }
  if (label === undefined || ranks.size === 0) {
    throw new InvalidArgumentError("Expected a class and its ranks, such as cat:3,7-9.");
  }
  return { label, ranks: [...ranks].sort((a, b) => a - b) };
}
