import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { openUri } from "../../connectors/source/open-uri.js";
import { decodeText } from "../../connectors/decode-text.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { classLookup, type LabelledFolder } from "./labelled-folder.js";

/**
 * Labelled images as a CSV file of `path,label` lines, paths relative to it; a first line "path,label" is passed over. Cells may be quoted, and have
 * semicolons or tabs between.
 * Throws E_SOURCE_READ, E_TRAIN_DATA with the line; `examples` throws E_TRAIN_DATA for a class that is not among `labels`.
 */
export async function openLabelledCsv(path: string): Promise<LabelledFolder> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected a CSV file of labelled images at ${path}, found: ${messageOf(cause)}.`,
      {
        cause,
      },
    );
  });
  const text = decodeText(bytes);
  if (text === null) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected a CSV file in UTF-8, or in UTF-16 with a byte order mark, at ${path}, found other bytes. Save it as UTF-8.`,
      { path },
    );
  }
  const rows: { readonly line: number; readonly uri: string; readonly className: string }[] = [];
  let separator: string | null = null;
  for (const [at, raw] of text.split(/\r\n|\r|\n/).entries()) {
    if (raw.trim() === "" || (at === 0 && /^"?(path|file|filename|image)"?[,;\t]"?(label|class)"?$/i.test(raw.trim())))
      continue;
    // As the first line has it: Excel writes semicolons where commas are decimal, and tabs into its Unicode text.
    separator ??= [",", ";", "\t"].find((one) => cellsOf(raw, one).length === 2) ?? ",";
    const [file, className, ...more] = cellsOf(raw, separator);
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
      const indexOf = classLookup(labels);
      for (const { line, uri, className } of rows) {
        const label = indexOf(className, `${path}:${line}`);
        yield { label, uri, bytes: () => opener.open(uri, maxBytes) };
      }
    },
  };
}

function cellsOf(line: string, separator: string): string[] {
  const cells = line.matchAll(
    new RegExp(`(?:^|${separator})(?:[ ]*"((?:[^"]|"")*)"[ ]*(?=${separator}|$)|([^${separator}]*))`, "g"),
  );
  return [...cells].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain ?? "").trim());
}
