import { realpath } from "node:fs";
import { promisify } from "node:util";
import { SluiceError } from "../../schemas/errors.js";
import { bytePath, fsPath, type BytePath } from "./byte-path.js";
import { refusal } from "./open-file.js";

/** A folder, or a single file, that images may lie in */
export interface AllowedRoot {
  /** Absolute */
  readonly path: string;
  /** Where links below it may lead: nowhere but into the root, into this folder too, or anywhere. Default: nowhere else */
  readonly links?: { readonly within: string } | "anywhere";
}

/** Where images may lie that a record names by a uri. */
export interface AllowedPlaces {
  readonly schemes: readonly string[];
  readonly roots: readonly AllowedRoot[];
  readonly buckets: readonly { readonly bucket: string; readonly prefix: string }[];
}

const realPathOf = promisify(realpath);

/** Says of every place whether it may be opened, before anything is opened there. Throws E_IMAGE_REFUSED. */
export interface PlaceGuard {
  /** Whether a file may be opened, as far as its name tells: no link is followed, nothing is looked at. */
  mayOpenFile(scheme: "file" | "tar", path: BytePath): boolean;
  mayOpenObject(bucket: string, key: string): boolean;
  /** The path to open: of a root without links, the one behind all links. Throws E_IMAGE_VANISHED and the like of a link that leads nowhere. */
  file(scheme: "file" | "tar", path: BytePath, uri: string): Promise<BytePath>;
  object(bucket: string, key: string, uri: string): void;
}

/** Lets everything be opened: the uris come from this machine's own walks. */
export const OPEN_PLACES: PlaceGuard = {
  mayOpenFile: () => true,
  mayOpenObject: () => true,
  file: async (_, path) => path,
  object: () => undefined,
};

export function placeGuard({ schemes, roots, buckets }: AllowedPlaces): PlaceGuard {
  const known = roots.map(({ path, links }) => ({ path: bytePath(path), links }));
  const rootsOf = (scheme: string, path: BytePath): typeof known =>
    schemes.includes(scheme) && !leadsUp(path) ? known.filter((root) => isIn(path, root.path)) : [];
  const mayOpenObject = (bucket: string, key: string): boolean =>
    schemes.includes("s3") && buckets.some((one) => one.bucket === bucket && key.startsWith(one.prefix));
  return {
    mayOpenFile: (scheme, path) => rootsOf(scheme, path).length > 0,
    mayOpenObject,
    async file(scheme, path, uri) {
      // Nothing outside is looked at, so that no answer says whether it is there.
      const named = rootsOf(scheme, path);
      if (named.length === 0) throw refused(uri, "sources.allow.roots");
      if (named.some(({ links }) => links === "anywhere")) return path;
      const real = await realOf(path, uri);
      for (const { path: root, links } of named) {
        if (isIn(real, await realOf(root, uri))) return real;
        if (typeof links === "object" && isIn(real, await realOf(bytePath(links.within), uri))) return real;
      }
      throw refused(uri, "sources.allow.roots", "a link that leads out of");
    },
    object(bucket, key, uri) {
      if (!mayOpenObject(bucket, key)) throw refused(uri, "sources.allow.buckets");
    },
  };
}

async function realOf(path: BytePath, uri: string): Promise<BytePath> {
  try {
    return bytePath(await realPathOf(fsPath(path), { encoding: "buffer" }));
  } catch (error) {
    throw refusal(error as NodeJS.ErrnoException, uri);
  }
}

function leadsUp(path: BytePath): boolean {
  return path.includes("\0") || path.split("/").includes("..");
}

function isIn(path: BytePath, root: BytePath): boolean {
  const end = root.replace(/\/+$/, "");
  return path === end || path.startsWith(`${end}/`);
}

function refused(uri: string, setting: string, found = "a place outside of"): SluiceError {
  return new SluiceError(
    "E_IMAGE_REFUSED",
    `Expected an image in a place that ${setting} names, found ${found} them: ${uri}. Nothing was opened. ` +
      `If records may name images there, add the place to ${setting} of every process, then \`sluice quarantine retry\`.`,
    { uri },
  );
}
