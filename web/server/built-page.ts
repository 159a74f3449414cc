import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import type { ServerResponse } from "node:http";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webmanifest": "application/manifest+json",
};

interface PageFile {
  readonly bytes: Buffer;
  readonly type: string;
  /** Its name has a digest of its bytes */
  readonly isFixed: boolean;
}

/** The page as it was built: all of its files in memory, and nothing else of the disk can be asked for. */
export class BuiltPage {
  readonly #files: ReadonlyMap<string, PageFile>;

  private constructor(files: ReadonlyMap<string, PageFile>) {
    this.#files = files;
  }

  /** An empty one where nothing was built */
  static async read(folder: string): Promise<BuiltPage> {
    const files = new Map<string, PageFile>();
    let names: string[] = [];
    try {
      names = await readdir(folder, { recursive: true, encoding: "utf8" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    for (const name of names) {
      const type = TYPES[extname(name)];
      if (type === undefined) continue;
      const path = `/${name.replaceAll("\\", "/")}`;
      files.set(path, { bytes: await readFile(join(folder, name)), type, isFixed: path.startsWith("/assets/") });
    }
    return new BuiltPage(files);
  }

  get isBuilt(): boolean {
    return this.#files.has("/index.html");
  }

  /** Every address that names no file is the page's own: it holds what one sees. */
  answer(response: ServerResponse, pathname: string): void {
    const file = this.#files.get(pathname) ?? (isScreen(pathname) ? this.#files.get("/index.html") : undefined);
    if (file === undefined) {
      response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" });
      response.end(
        this.isBuilt
          ? "There is no such file.\n"
          : "The page was not built here: `npm run build` builds it. The API answers at /api/overview; /api/openapi.json lists its calls.\n",
      );
      return;
    }
    response.writeHead(200, {
      "Content-Type": file.type,
      "Content-Length": file.bytes.length,
      "Cache-Control": file.isFixed ? "public, max-age=31536000, immutable" : "no-cache",
    });
    response.end(file.bytes);
  }
}

/** A screen's address may end as a file's name does, as that of the class `cat.v2`: the place that it begins with tells them apart. */
function isScreen(pathname: string): boolean {
  const first = pathname.split("/")[1] ?? "";
  return first !== "assets" && extname(first) === "";
}
