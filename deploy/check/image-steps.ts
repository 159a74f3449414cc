import { chmod, cp, mkdir, readFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import { run } from "../local/command.js";
import type { Report } from "../local/cache.js";

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of a Dockerfile, continued lines joined, comments left out. */
export function dockerfileInstructions(text: string): Instruction[] {
  return text
    .replace(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ name: line.split(" ", 1)[0]!.toUpperCase(), text: line.slice(line.indexOf(" ") + 1).trim() }));
}

/** `COPY --from=build --chmod=755 a b /c/` taken apart */
export function copyParts(text: string): {
  from: string | null;
  mode: number | null;
  sources: string[];
  target: string;
} {
  const words = text.split(/\s+/);
  const flag = (name: string): string | null =>
    words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? null;
  const places = words.filter((word) => !word.startsWith("--"));
  const mode = flag("chmod");
  return {
    from: flag("from"),
    mode: mode === null ? null : Number.parseInt(mode, 8),
    sources: places.slice(0, -1),
    target: places.at(-1)!,
  };
}

/** Names that a dockerignore file leaves out of the context: plain names at its top, and those behind two stars anywhere. */
export function ignoredBy(text: string): (path: string) => boolean {
  const lines = text.split("\n").filter((line) => line !== "");
  const anywhere = new Set(lines.filter((line) => line.startsWith("**/")).map((line) => line.slice(3)));
  const atTop = lines.filter((line) => !line.startsWith("**/"));
  return (path) =>
    atTop.some((name) => path === name || path.startsWith(`${name}/`)) ||
    path.split("/").some((part) => anywhere.has(part));
}

/**
 * Runs the steps of a Dockerfile below `folder`, a folder a stage, without a container engine: files are copied, commands run in the
 * stage's working folder, with this machine's programs. Commands that write to fixed places of an image are left out, and said. Returns
 * the last stage's folder. Throws E_SERVICE where a step fails.
 */
export async function runImageSteps(
  dockerfile: string,
  context: string,
  folder: string,
  report: Report,
): Promise<string> {
  const instructions = dockerfileInstructions(await readFile(dockerfile, "utf8"));
  const ignores = ignoredBy(await readFile(`${dockerfile}.dockerignore`, "utf8"));
  const stages = new Map<string, string>();
  let root = "";
  let working = "/";
  for (const { name, text } of instructions) {
    if (name === "FROM") {
      const stage = /\sAS\s+(\S+)/i.exec(text)?.[1] ?? "last";
      root = join(folder, stage);
      working = "/";
      stages.set(stage, root);
      await mkdir(root, { recursive: true });
    } else if (name === "WORKDIR") {
      working = text;
      await mkdir(join(root, working), { recursive: true });
    } else if (name === "COPY") {
      const { from, mode, sources, target } = copyParts(text);
      const base = from === null ? context : stages.get(from);
      if (base === undefined) throw new SluiceError("E_SERVICE", `Expected a stage named ${from} before COPY ${text}.`);
      const place = target.startsWith("/") ? join(root, target) : join(root, working, target);
      for (const source of sources) {
        const into = target.endsWith("/") && source !== "." ? join(place, basename(source)) : place;
        await cp(join(base, source), into, {
          recursive: true,
          verbatimSymlinks: true,
          filter: (path) => from !== null || !ignores(relative(context, path)),
        });
        if (mode !== null) await chmod(into, mode);
      }
    } else if (name === "RUN") {
      if (/(^|\s)\/[a-z]/.test(text)) {
        report(`not run here, since it writes to a fixed place: RUN ${text}`);
        continue;
      }
      report(`RUN ${text}`);
      await run("sh", ["-ec", text], { folder: join(root, working), doing: text, report });
    }
  }
  return root;
}
