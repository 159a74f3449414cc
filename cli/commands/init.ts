import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { messageOf, SluiceError, codeOf } from "../../schemas/errors.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { CONFIG_FILE } from "../load-config.js";
import { packageFile } from "../package-root.js";
import { startingYaml } from "../sluice-yaml.js";

export const declare: DeclareCommand = (command, invocation) => {
  command
    .argument("[folder]", "where to write it", ".")
    .option("--teacher <path>", "the classifier, written into the file")
    .option("--force", "overwrite a sluice.yaml that is there")
    .addHelpText(
      "after",
      exampleText([
        ["sluice init", "writes sluice.yaml here"],
        ["sluice init pictures --teacher model.onnx", "writes pictures/sluice.yaml, for that teacher"],
      ]),
    )
    .action(async (folder: string, options: { teacher?: string; force?: boolean }) => {
      const run = invocation();
      const { terminal } = run;
      const target = resolve(terminal.folder, folder);
      const file = join(target, CONFIG_FILE);
      const fromTarget = (path: string): string => relative(target, path).replaceAll("\\", "/");
      const text = startingYaml({
        schema: fromTarget(packageFile("schemas/sluice.schema.json")).replace(/^(?!\.\.?\/)/, "./"),
        teacher: options.teacher === undefined ? null : fromTarget(resolve(terminal.folder, options.teacher)),
      });
      try {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, text, { flag: options.force === true ? "w" : "wx" });
      } catch (error) {
        if (codeOf(error) === "EEXIST") {
          throw new SluiceError(
            "E_USAGE",
            `${file} is there already. Use --force to overwrite it, or name another folder.`,
            { file },
          );
        }
        throw new SluiceError("E_STORE_IO", `Expected to write ${file}: ${messageOf(error)}.`, { cause: error, file });
      }
      run.result(nextSteps(relative(terminal.folder, file), folder, options.teacher !== undefined), { file });
    });
};

function nextSteps(file: string, folder: string, teacherKnown: boolean): string {
  return [
    `Wrote ${file}. Next:`,
    ...(folder === "." ? [] : [`  cd ${folder}`]),
    ...(teacherKnown ? [] : ["  (name your classifier in it: the line `teacher:`)"]),
    "  sluice check                 says whether the teacher and this machine are ready",
    "  sluice ingest <folder>       scores a folder of pictures, and publishes version 1",
    "  sluice versions show latest  what that version holds",
  ].join("\n");
}
