import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { bytePath, fsPath, percentDecode, percentEncode } from "../../../connectors/source/byte-path.js";
import { openUri } from "../../../connectors/source/open-uri.js";
import { SluiceError } from "../../../schemas/errors.js";
import { makePipe } from "../../fixtures/make-images.js";

describe("openUri", () => {
  const opener = openUri();
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-open-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const urlOf = (name: string): string => pathToFileURL(join(folder, name)).href;
  const codeOf = (uri: string, maxBytes = 1000): Promise<string> =>
    opener.open(uri, maxBytes).then(
      () => "opened",
      (error: unknown) => (error instanceof SluiceError ? error.code : String(error)),
    );

  test("reads whole files by the urls that Node makes of any name", async () => {
    for (const name of ["plain.jpg", "a b#c%d?.jpg", "é日本.jpg", "^`{|}\\.jpg", "new\nline"]) {
      const bytes = Buffer.from(`content of ${name}`);
      await writeFile(join(folder, name), bytes);
      assert.deepEqual(Buffer.from(await opener.open(urlOf(name), bytes.length)), bytes, name);
    }
    const large = Buffer.alloc(3_000_000, "large");
    await writeFile(join(folder, "large"), large);
    assert.ok(large.equals(await opener.open(urlOf("large"), large.length)));
    await symlink(join(folder, "large"), join(folder, "link"));
    assert.ok(large.equals(await opener.open(urlOf("link"), large.length)));
  });

  test("gives an empty file as no bytes: what that means is the decoder's to say", async () => {
    await writeFile(join(folder, "empty"), "");
    assert.equal((await opener.open(urlOf("empty"), 10)).length, 0);
  });

  test("the bytes given belong to the caller alone", async () => {
    await writeFile(join(folder, "own"), "own bytes");
    const bytes = await opener.open(urlOf("own"), 100);
    assert.equal(bytes.buffer.byteLength, bytes.length);
  });

  test("refuses by its size what is too large, and takes exactly the limit", async () => {
    await writeFile(join(folder, "ten"), "0123456789");
    assert.equal(await codeOf(urlOf("ten"), 9), "E_IMAGE_SIZE");
    assert.equal(await codeOf(urlOf("ten"), 10), "opened");
    await assert.rejects(opener.open(urlOf("ten"), 9), /set decode\.maxBytes: 10, then `sluice quarantine retry`/);
  });

  test("says what vanished", async () => {
    assert.equal(await codeOf(urlOf("none.jpg")), "E_IMAGE_VANISHED");
    await writeFile(join(folder, "file"), "x");
    assert.equal(await codeOf(urlOf("file/none.jpg")), "E_IMAGE_VANISHED");
  });

  test("never waits for a pipe, never reads a folder or a device", async () => {
    makePipe(join(folder, "pipe"));
    await mkdir(join(folder, "folder"));
    await symlink("loop", join(folder, "loop"));
    for (const name of ["pipe", "folder", "loop"]) assert.equal(await codeOf(urlOf(name)), "E_IMAGE_UNREADABLE", name);
    assert.equal(await codeOf("file:///dev/zero"), "E_IMAGE_UNREADABLE");
  });

  test("refuses uris that are no absolute place on this machine", async () => {
    for (const uri of [
      "https://example.org/a.jpg",
      "file://host/a.jpg",
      "file:a.jpg",
      "a.jpg",
      "tar:a.tar#x",
      "tar:/a.tar",
      "s3://bucket",
      "s3://bucket/",
      "s3:/bucket/a.jpg",
      "",
    ]) {
      assert.equal(await codeOf(uri), "E_IMAGE_UNREADABLE", uri);
    }
  });

  test("says what another user may not read", async () => {
    await writeFile(join(folder, "closed.jpg"), "closed");
    await chmod(join(folder, "closed.jpg"), 0);
    await chmod(folder, 0o755);
    const module = new URL("../../../connectors/source/open-uri.js", import.meta.url).href;
    const script = `
      import { openUri } from ${JSON.stringify(module)};
      if (process.getuid() === 0) process.setuid(65534);
      await openUri().open(${JSON.stringify(urlOf("closed.jpg"))}, 100).catch((error) => console.log(error.code, error.message));`;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    assert.match(run.stdout, /^E_IMAGE_UNREADABLE Expected a readable file, found EACCES/, run.stderr);
  });

  test("does not blame the image where the process has too many files open", async () => {
    await writeFile(join(folder, "fine.jpg"), "fine");
    const module = new URL("../../../connectors/source/open-uri.js", import.meta.url).href;
    const script = `
      import { openUri } from ${JSON.stringify(module)};
      import { openSync } from "node:fs";
      const opener = openUri();
      await opener.open(${JSON.stringify(urlOf("fine.jpg"))}, 100);
      try { for (;;) openSync("/dev/null"); } catch {}
      await opener.open(${JSON.stringify(urlOf("fine.jpg"))}, 100).catch((error) => process._rawDebug(error.code, error.retryable));`;
    const run = spawnSync(
      "sh",
      ["-c", `ulimit -n 64; exec "$0" --input-type=module -e "$1"`, process.execPath, script],
      {
        encoding: "utf8",
      },
    );
    assert.match(run.stderr, /E_SOURCE_READ true/);
  });
});

test("byte paths survive percent-encoding, and sort as their bytes do", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ maxLength: 30 }), (a, b) => {
      const [left, right] = [bytePath(a), bytePath(b)];
      assert.equal(percentDecode(percentEncode(left)), left);
      assert.match(percentEncode(left), /^[!-~]*$/);
      assert.equal(Math.sign(Buffer.compare(fsPath(left), fsPath(right))), left < right ? -1 : left > right ? 1 : 0);
    }),
    { seed: 6 },
  );
});
