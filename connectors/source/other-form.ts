import { readdir } from "node:fs/promises";
import { join, parse, resolve, sep } from "node:path";
import { ABSENT } from "../stat-if-there.js";
import { orNull } from "../../schemas/errors.js";

/**
 * Where nothing lies at a path, but something at the same name in Unicode's other normal form (Macs write é as e and an accent): says so, and
 * how that is written. null for everything else.
 */
export async function otherForm(path: string): Promise<string | null> {
  const { root } = parse(resolve(path));
  let found = root;
  let differs = false;
  for (const name of resolve(path).slice(root.length).split(sep)) {
    const names = await namesIn(found);
    const same = names.includes(name) ? name : names.find((each) => each.normalize() === name.normalize());
    if (same === undefined) return null;
    differs ||= same !== name;
    found = join(found, same);
  }
  if (!differs) return null;
  const form = found === found.normalize() ? "composed (NFC)" : "decomposed (NFD)";
  return `There is one that looks the same, whose name is written in the ${form} form of its characters. In bash it is ${escaped(found)}.`;
}

/** None where it is no folder, or may not be listed. */
async function namesIn(folder: string): Promise<readonly string[]> {
  return (await orNull(readdir(folder), ...ABSENT, "EACCES")) ?? [];
}

/** With each byte beyond ASCII as such: shown on a screen both forms look alike. */
function escaped(path: string): string {
  const text = [...Buffer.from(path)].map((byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  );
  return `$'${text.join("")}'`;
}
