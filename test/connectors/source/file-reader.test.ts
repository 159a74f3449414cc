import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bytePath } from "../../../connectors/source/byte-path.js";
import { FileReader } from "../../../connectors/source/file-reader.js";
import { openFile } from "../../../connectors/source/open-file.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { makePipe } from "../../fixtures/make-images.js";

const LARGE = 600_000;

describe("FileReader", () => {
  let folder = "";
  const path = (name: string): ReturnType<typeof bytePath> => bytePath(Buffer.from(join(folder, name)));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-files-"));
    await writeFile(join(folder, "small"), "small");
    await writeFile(join(folder, "empty"), "");
    await writeFile(join(folder, "large"), Buffer.alloc(LARGE, "0123456789"));
    await mkdir(join(folder, "folder"));
    makePipe(join(folder, "pipe"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("gives what threads give, of small files, large ones, parts, and what is no file", async () => {
    const reader = new FileReader(() => 0);
    const answer = (opened: Promise<Uint8Array>): Promise<string> =>
      opened.then(
        (bytes) => Buffer.from(bytes).toString("latin1"),
        (error: unknown) => {
          if (error instanceof SluiceError) return `${error.code} ${error.message}`;
          throw error;
        },
      );
    const parts = [
      undefined,
      { offset: 2, sizeBytes: 2 },
      { offset: 3, sizeBytes: 1000 },
      { offset: 100_000, sizeBytes: 400_000 },
    ];
    for (const name of ["small", "empty", "large", "folder", "pipe", "absent", "small/below"]) {
      for (const maxBytes of [4, 5, LARGE]) {
        for (const part of parts) {
          const asked = [path(name), `file:///${name}`, maxBytes, part] as const;
          assert.equal(await answer(reader.open(...asked)), await answer(openFile(...asked)), `${name} ${maxBytes}`);
        }
      }
    }
    await assert.rejects(reader.open(path("absent"), "file:///absent", 5), (error) =>
      isSluiceError(error, "E_IMAGE_VANISHED"),
    );
  });

  test("reads in threads for longer and longer where files come slowly, and at once again where they do not", async () => {
    let looks = 0;
    let nowMs = 0;
    let tookMs = 10;
    // Two looks at the clock are a file that was read at once.
    const reader = new FileReader(() => (looks++ % 2 === 0 ? nowMs : (nowMs += tookMs)));
    const open = async (files: number): Promise<number> => {
      const before = looks;
      for (let file = 0; file < files; file++) await reader.open(path("small"), "file:///small", 5);
      return (looks - before) / 2;
    };
    assert.deepEqual([await open(1), await open(16), await open(1), await open(32), await open(1)], [1, 0, 1, 0, 1]);
    tookMs = 0;
    assert.deepEqual([await open(64), await open(1), await open(20)], [0, 1, 20]);
  });
});
