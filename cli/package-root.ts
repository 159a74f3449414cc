import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** A file of this package by its path in the repository, wherever the compiled code lies (dist/ or elsewhere). */
export function packageFile(path: string): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`no package.json above ${import.meta.dirname}`);
    folder = above;
  }
  return join(folder, path);
}
