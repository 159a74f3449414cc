import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import { cachedFolder, type Report } from "./cache.js";
import { run } from "./command.js";
import { requirePrograms } from "./local-service.js";

export interface JarSet {
  readonly name: string;
  readonly version: string;
  /** group:artifact:version, each with all that it needs at run time */
  readonly artifacts: readonly string[];
  /** group:artifact left out, with what only it needs */
  readonly excluded?: readonly string[];
  /** Of the lines `<SHA-256>  <jar>`, sorted by jar: pins every jar, also those that the artifacts pull in */
  readonly sha256: string;
  readonly takes: string;
}

/** The class path of the jars, from Maven where the cache has none. Throws E_SERVICE. */
export async function classPath(set: JarSet, report: Report): Promise<string> {
  const folder = await cachedFolder(
    `${set.name}-${set.version}-${set.sha256.slice(0, 8)}`,
    async (partial) => {
      await requirePrograms(`fetch ${set.name}`, ["java", "mvn"]);
      report(`fetching ${set.name} ${set.version} by Maven (once; ${set.takes})`);
      const pom = join(partial, "pom.xml");
      await writeFile(pom, pomOf(set));
      await run("mvn", ["-q", "-B", "-f", pom, "dependency:copy-dependencies"], {
        folder: partial,
        doing: `fetching ${set.name}`,
        report,
      });
      await rm(pom);
      await check(set, partial);
    },
    report,
  );
  // In a fixed order: a class-data archive holds for one class path only.
  return (await jars(folder)).map((jar) => join(folder, jar)).join(delimiter);
}

async function jars(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((file) => file.endsWith(".jar")).sort();
}

async function check(set: JarSet, folder: string): Promise<void> {
  const lines: string[] = [];
  for (const jar of await jars(folder)) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(join(folder, jar))) hash.update(chunk as Buffer);
    lines.push(`${hash.digest("hex")}  ${jar}`);
  }
  const found = createHash("sha256").update(lines.join("\n")).digest("hex");
  if (found === set.sha256) return;
  throw new SluiceError(
    "E_SERVICE",
    `Expected the jars of ${set.name} ${set.version} to have the digest ${set.sha256}, found ${found}. The jars are not those that were pinned:\n${lines.join("\n")}`,
  );
}

function pomOf({ artifacts, excluded = [] }: JarSet): string {
  const coordinates = (artifact: string): string => {
    const [group, name, version] = artifact.split(":");
    const tag = version === undefined ? "" : `<version>${version}</version>`;
    return `<groupId>${group ?? ""}</groupId><artifactId>${name ?? ""}</artifactId>${tag}`;
  };
  const exclusions = excluded.map((artifact) => `<exclusion>${coordinates(artifact)}</exclusion>`).join("");
  const dependencies = artifacts
    .map(
      (artifact) => `<dependency>${coordinates(artifact)}<exclusions>${exclusions}</exclusions></dependency>
`,
    )
    .join("");
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>sluice</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
${dependencies}</dependencies>
<build><plugins><plugin>
<groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
<configuration><outputDirectory>\${project.basedir}</outputDirectory><includeScope>runtime</includeScope></configuration>
</plugin></plugins></build>
</project>
`;
}
