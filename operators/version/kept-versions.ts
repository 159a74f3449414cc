import type { KeepRule } from "../../schemas/keep-rule.js";

/** What a rule looks at. */
export interface PublishedVersion {
  readonly number: number;
  readonly createdMs: number;
}

/**
 * Numbers of the versions that a rule lets go, ascending: none of the newest `last`, none that is young enough, none that is `named` by something.
 * `versions`: all that stand and can be read, in any order.
 */
export function leavingVersions(
  versions: readonly PublishedVersion[],
  { last, youngerThanMs = 0 }: KeepRule,
  { named, nowMs }: { readonly named: ReadonlySet<number>; readonly nowMs: number },
): number[] {
  const newestFirst = [...versions].sort((a, b) => b.number - a.number);
  return newestFirst
    .slice(last)
    .filter(({ number, createdMs }) => nowMs - createdMs >= youngerThanMs && !named.has(number))
    .map(({ number }) => number)
    .reverse();
}
