// What npm runs after it has installed the project: the build. `npx sluice` installs the project's folder as well, on its first call and without a word: there
// what is built already is taken as it is.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const isBuilt = existsSync(join(root, "dist", "cli", "main.js"));
if (process.env["npm_command"] !== "exec" || !isBuilt) {
  const { status } = spawnSync("npm run build", { cwd: root, shell: true, stdio: "inherit" });
  process.exitCode = status ?? 1;
}
