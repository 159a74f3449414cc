import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { packageFile } from "../package-root.js";
import { printedFiles } from "./pages.js";

/** `npm run schema`: writes the files that are printed from the code. */
for (const [path, text] of await printedFiles()) {
  const file = packageFile(path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  process.stdout.write(`wrote ${path}\n`);
}
