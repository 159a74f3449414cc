import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cached, cacheFolder } from "./cache.js";

/**
 * The Python of an environment in the cache with these packages (`name==version`), made on first use; null, and a line
 * that says why, where there is no Python 3 or a package cannot be installed.
 */
export async function pythonWith(packages: readonly string[], print: (line: string) => void): Promise<string | null> {
  const digest = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
  const name = `python-${digest}`;
  try {
    // An environment knows its own path: it is made in its place, and a marker says that it is whole.
    const folder = join(cacheFolder(), name);
    await cached(`${name}-installed`, (): Promise<void> => {
      print(`  installing ${packages.join(", ")} into ${folder}`);
      if (!existsSync(folder)) execFileSync("python3", ["-m", "venv", folder], { stdio: "pipe" });
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages];
      execFileSync(join(folder, "bin", "python"), pip, { stdio: "pipe" });
      return Promise.resolve();
    });
    return join(folder, "bin", "python");
  } catch (error) {
    print(
      `  skipped: ${packages.join(", ")} (${error instanceof Error ? error.message.split("\n")[0]! : String(error)})`,
    );
    return null;
  }
}
