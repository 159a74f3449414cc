import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { openLabelledCsv } from "../../../pipelines/training/labelled-csv.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const LABELS = ["red", "green", "blue"];

/** What a file says, as "name of the file → number of the class". Files with these names lie beside it. */
async function read(t: TestContext, content: string | Uint8Array, labels = LABELS): Promise<string[]> {
  const folder = await temporaryFolder(t);
  for (const name of ["a, 1.png", "b; 2.png", "c.png", "line\nend.png"]) await writeFile(join(folder, name), "");
  const path = join(folder, "set.csv");
  await writeFile(path, content);
  const found: string[] = [];
  for await (const { uri, label } of (await openLabelledCsv(path)).examples(labels, 1)) {
    found.push(`${basename(fileURLToPath(uri))} → ${label}`);
  }
  return found;
}

const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, "utf16le");
const BOTH = ["a, 1.png → 0", "c.png → 2"];

describe("labelled images as a CSV file", () => {
  const same: Record<string, string | Uint8Array> = {
    "commas, quoted": '"a, 1.png",red\n"c.png","blue"\n',
    "blanks around quotes": ' "a, 1.png" , red\n c.png , "blue" \n',
    "semicolons, as Excel writes where commas are decimal": "path;label\r\na, 1.png;red\r\nc.png;blue\r\n",
    "semicolons without a head, and a comma in the first path": "a, 1.png;red\r\nc.png;blue\r\n",
    "Excel's hint": "sep=|\r\nfile|class\r\na, 1.png|red\r\nc.png|blue\r\n",
    "tabs in UTF-16": utf16('"a, 1.png"\tred\r\nc.png\tblue\r\n'),
    "UTF-8 with its mark": '\ufeffpath,label\r\n"a, 1.png",red\r\nc.png,blue\r\n',
    "old line ends": '"a, 1.png",red\rc.png,blue\r',
    "the index of pandas": ',path,label\n0,"a, 1.png",red\n1,c.png,blue\n',
    "the index of pandas, without a head": '0,"a, 1.png",red\n1,c.png,blue\n',
    "other columns, in another order": 'Label,width,File Name\nred,10,"a, 1.png"\nblue,12,c.png\n',
    "class numbers": '"a, 1.png",0\nc.png,2\n',
    "class numbers as pandas writes them where one is missing": '"a, 1.png",0.0\nc.png,2.0\n',
    "empty cells and rows that a spreadsheet adds": 'path,label,,\r\n"a, 1.png",red,,\r\nc.png,blue\r\n,,,\r\n,\r\n',
    "empty cells without a head": '"a, 1.png",red,\nc.png,blue,\n',
    "blank lines": '\n"a, 1.png",red\n\n\nc.png,blue\n\n',
  };
  for (const [name, content] of Object.entries(same)) {
    test(name, async (t) => {
      assert.deepEqual(await read(t, content), BOTH);
    });
  }

  test("a path may hold separators, quotes and line ends where it is quoted", async (t) => {
    const content = 'path,label\n"b; 2.png",green\n"line\nend.png",red\n"say ""a"".png",blue\n';
    assert.deepEqual(await read(t, content), ["b; 2.png → 1", "line\nend.png → 0", 'say "a".png → 2']);
  });

  test("paths as Windows and Macs write them are those of the files that are there", async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, "in"));
    for (const name of ["in/a.png", "caf\u00e9.png", "b\\c.png"]) await writeFile(join(folder, name), "");
    const path = join(folder, "set.csv");
    await writeFile(path, "in\\a.png,red\ncafe\u0301.png,red\nb\\c.png,red\n");
    const found: string[] = [];
    for await (const { uri } of (await openLabelledCsv(path)).examples(LABELS, 1)) {
      found.push(fileURLToPath(uri).slice(folder.length + 1));
    }
    assert.deepEqual(found, ["in/a.png", "caf\u00e9.png", "b\\c.png"]);
  });

  test("classes that are called by numbers are meant by their names", async (t) => {
    assert.deepEqual(await read(t, "c.png,1\nc.png,0\n", ["1", "0"]), ["c.png → 0", "c.png → 1"]);
  });

  const wrong: Record<string, [string | Uint8Array, RegExp]> = {
    "a line that lacks its label": ["path,label\nc.png\n", /set\.csv:2, found "c\.png"/],
    "a comma that is not quoted": ["path,label\nc.png,red\na, 1.png,red\n", /set\.csv:3, found "a,1\.png,red"/],
    "two columns of labels": [
      "path,label,class_name\nc.png,0,red\n",
      /one of labels at .*set\.csv:1, found label and class_name\. Leave one/,
    ],
    "a head that is not known": [
      "fichier,étiquette\nc.png,red\n",
      /set\.csv:1 \(no head such as path,label\), found "étiquette"/,
    ],
    "other columns without a head": ["c.png,red,10\n", /as the first one "c\.png,red,10"\. Where there are other/],
    "numbers from 1": ["c.png,1\nc.png,3\n", /found "1"/],
    "a quote that is never closed": ['"c.png,red\n', /as the first one/],
    nothing: ["\n\n", /found no line/],
    "Excel's own encoding": [Buffer.from("cafÈ.png,red\n", "latin1"), /UTF-8, or in UTF-16 .* Save it as UTF-8/],
    "UTF-16 without its mark": [Buffer.from("c.png,red\n", "utf16le"), /UTF-16 with a byte order mark/],
  };
  for (const [name, [content, message]] of Object.entries(wrong)) {
    test(`refused: ${name}`, async (t) => {
      await assert.rejects(read(t, content), { code: "E_TRAIN_DATA", message });
    });
  }
});
