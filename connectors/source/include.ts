import picomatch from "picomatch";

/**
 * Whether a path is to be taken: any glob matches it, whatever the case of its letters (`*.jpg` takes `A.JPG`), or is it, letter by letter (`a [1].jpg`).
 * Without globs everything is. A leading `./` makes no difference, in the glob or in the path, nor which of Unicode's normal forms either is written in.
 */
export function includes(globs: readonly string[] | undefined): (path: string) => boolean {
  if (globs === undefined) return () => true;
  const written = globs.map(plain);
  const matches = picomatch(written, { dot: true, nocase: true });
  return (path) => {
    const own = plain(path);
    return matches(own) || written.includes(own);
  };
}

function plain(path: string): string {
  return path.replace(/^(?:\.\/+)+/, "").normalize();
}
