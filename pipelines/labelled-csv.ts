import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { openUri } from "../connectors/source/open-uri.js";
import { messageOf, SluiceError } from "../schemas/errors.js";
import type { LabelledFolder } from "./labelled-folder.js";

/**
 * Labelled images as a CSV file of `path,label` lines, paths relative to it; a first line "path,label" is passed over. Cells may be quoted.
 * Throws E_SOURCE_READ, E_TRAIN_DATA with the line; `examples` throws E_TRAIN_DATA for a class that is not among `labels`.
 */
export async function openLabelledCsv(path: string): Promise<LabelledFolder> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected a CSV file of labelled images at ${path}, found: ${messageOf(cause)}.`,
      {
        cause,
      },
    );
  });
  const rows: { readonly line: number; readonly uri: string; readonly className: string }[] = [];
  for (const [at, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    if (raw.trim() === "" || (at === 0 && /^"?path"?,"?label"?$/i.test(raw.trim()))) continue;
    const [file, className, ...more] = cellsOf(raw);
    if (file === undefined || file === "" || className === undefined || className === "" || more.length > 0) {
      throw new SluiceError(
        "E_TRAIN_DATA",
        `Expected "path,label" at ${path}:${at + 1}, found ${JSON.stringify(raw.slice(0, 80))}. Quote a cell that holds a comma.`,
        { path, line: at + 1 },
      );
    }
    rows.push({ line: at + 1, uri: pathToFileURL(resolve(dirname(path), file)).href, className });
  }
  const opener = openUri();
  return {
    folder: path,
    classNames: [...new Set(rows.map(({ className }) => className))],
    async *examples(labels, maxBytes) {
      const indices = new Map(labels.map((label, index) => [label, index]));
      for (const { line, uri, className } of rows) {
        const label = indices.get(className);
        if (label === undefined) {
          throw new SluiceError(
            "E_TRAIN_DATA",
            `Expected one of the model's classes as label at ${path}:${line}, found "${className}".`,
            { path, line, className },
          );
        }
        yield { label, uri, bytes: () => opener.open(uri, maxBytes) };
      }
    },
  };
}

function cellsOf(line: string): string[] {
  const cells = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...cells].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain ?? "").trim());
}
