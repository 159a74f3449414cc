import { join } from "node:path";
import { rm } from "node:fs/promises";
import { SluiceError } from "../../schemas/errors.js";
import { cachedFolder, type Report } from "./cache.js";
import { run } from "./command.js";
import { requirePrograms } from "./local-service.js";

export interface GoProgram {
  readonly name: string;
  readonly module: string;
  /** The command's package, inside the module */
  readonly package: string;
  readonly version: string;
  /** The module's `h1:` checksum, as `go version -m` reports it for the built program */
  readonly checksum: string;
  readonly takes: string;
}

/** The path of the built program; builds it where the cache has none. Throws E_SERVICE. */
export async function goProgram(program: GoProgram, report: Report): Promise<string> {
  const { name, version } = program;
  const folder = await cachedFolder(
    `${name}-${version}`,
    async (partial) => {
      await requirePrograms(`build ${name}`, ["go"]);
      report(`building ${name} ${version} from its Go module (once; ${program.takes})`);
      await run("go", ["install", "-trimpath", "-ldflags", "-s -w", `${program.package}@${version}`], {
        folder: partial,
        environment: { GOBIN: partial },
        doing: `building ${name}`,
        report,
      });
      const built = await run("go", ["version", "-m", join(partial, name)], { folder: partial, doing: "checking" });
      const expected = `mod\t${program.module}\t${version}\t${program.checksum}`;
      if (!built.split("\n").some((line) => line.trim() === expected)) {
        await rm(join(partial, name));
        throw new SluiceError(
          "E_SERVICE",
          `Expected ${name} built from ${program.module} ${version} ${program.checksum}, found:\n${built.split("\n").slice(0, 4).join("\n")}`,
        );
      }
    },
    report,
  );
  return join(folder, name);
}
