import picomatch from "picomatch";

/**
 * Whether a path is to be taken: any glob matches it, whatever the case of its letters (`*.jpg` takes `A.JPG`). Without globs everything is.
 * A leading `./` makes no difference, in the glob or in the path.
 */
export function includes(globs: readonly string[] | undefined): (path: string) => boolean {
  if (globs === undefined) return () => true;
  const matches = picomatch(globs.map(plain), { dot: true, nocase: true });
  return (path) => matches(plain(path));
}

function plain(path: string): string {
  return path.replace(/^(?:\.\/+)+/, "");
}
