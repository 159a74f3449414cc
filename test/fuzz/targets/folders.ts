import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { placeGuard } from "../../../connectors/source/allowed-places.js";
import { openFolderSource } from "../../../connectors/source/folder.js";
import { openUri } from "../../../connectors/source/open-uri.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, oneOf } from "../mutate.js";

const MOST_BYTES = 100_000;
const SECRET = "what lies outside and is nobody's image";

/** A file of a tree, as the input has it */
interface Entry {
  readonly kind: "file" | "link" | "fifo" | "folder" | "device";
  readonly name: string;
  readonly to: string;
}

const NAMES = [
  "a.jpg",
  "b.png",
  "sub/c.jpg",
  "sub/deep/d.jpg",
  "e",
  "line\nbreak.jpg",
  "%2e%2e.jpg",
  "ü.jpg",
  ".hidden.jpg",
];
const PLACES = [
  "../outside/secret.jpg",
  "/etc/passwd",
  ".",
  "..",
  "a.jpg",
  "sub",
  "/dev/zero",
  "/dev/random",
  "e",
  "/proc/self/mem",
];
const KINDS = ["file", "link", "link", "fifo", "folder", "device"] as const;

export const FOLDERS: FuzzTarget = {
  name: "folders",
  what: "folders with links that lead out or round, FIFOs and devices, and uris that name what lies outside",
  extension: "json",
  prepare: async (folder) => {
    const tree = join(folder, "tree");
    await mkdir(join(folder, "outside"));
    await writeFile(join(folder, "outside", "secret.jpg"), SECRET);
    const uris = (next: () => number): string =>
      `${oneOf(next, ["file://", "tar:", "file:", "FILE://", "http://", ""])}${tree}/${oneOf(next, ["", "../outside/secret.jpg", "%2e%2e/outside/secret.jpg", "a.jpg/../../outside/secret.jpg", "sub//..//../outside/secret.jpg", "a.jpg", "a.jpg%00", "../outside/secret.jpg#a"])}`;
    return {
      make: (next) => {
        const entries = Array.from({ length: 1 + below(next, 8) }, () => ({
          kind: oneOf(next, KINDS),
          name: oneOf(next, NAMES),
          to: oneOf(next, PLACES),
        }));
        const asked = Array.from({ length: 4 }, () => uris(next));
        return Buffer.from(JSON.stringify({ entries, asked, followLinks: next() < 0.5 }));
      },
      run: async (input) => {
        const { entries, asked, followLinks } = parsed(input);
        await rm(tree, { recursive: true, force: true });
        await mkdir(tree, { recursive: true });
        for (const entry of entries) await make(join(tree, entry.name), entry);
        const guard = placeGuard({ schemes: ["file", "tar"], roots: [{ path: tree }], buckets: [] });
        const guarded = openUri({ guard });
        const found: string[] = [...asked];
        const source = await openFolderSource(tree, { mayBeEmpty: true, followLinks });
        for await (const { record } of source.items(null)) found.push(record.uri);
        for (const uri of found) {
          const bytes = await guarded.open(uri, MOST_BYTES).catch((error: unknown) => {
            if (!isSluiceError(error) || error.code === "E_INTERNAL") throw error;
            return null;
          });
          if (bytes !== null && Buffer.from(bytes).includes(SECRET))
            throw new TypeError(`${uri} gave what lies outside of the allowed root`);
        }
      },
    };
  },
};

function parsed(input: Uint8Array): { entries: Entry[]; asked: string[]; followLinks: boolean } {
  return JSON.parse(Buffer.from(input).toString()) as { entries: Entry[]; asked: string[]; followLinks: boolean };
}

/** A name that is taken, or leads through a file, is left out. */
async function make(path: string, { kind, to }: Entry): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    if (kind === "folder") await mkdir(path, { recursive: true });
    else if (kind === "link") await symlink(to, path);
    else if (kind === "file") await writeFile(path, "a picture", { flag: "wx" });
    else if (kind === "fifo") execFileSync("mkfifo", [path], { stdio: "ignore" });
    else if (process.getuid?.() === 0) execFileSync("mknod", [path, "c", "1", "5"], { stdio: "ignore" });
  } catch (error) {
    const { code, status } = error as { code?: string; status?: number };
    if (status === undefined && !["EEXIST", "ENOTDIR", "ELOOP", "ENOENT", "EACCES"].includes(code ?? "")) throw error;
  }
}
