import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BuiltPage } from "../../../web/server/built-page.js";

test("a screen's address is the page's also where it ends as a file's name; a file that is not there is not", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-page-"));
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "the page");
  await writeFile(join(folder, "assets", "index-1.js"), "the code");
  const page = await BuiltPage.read(folder);
  const server = createServer((request, response) => {
    page.answer(response, new URL(request.url ?? "/", "http://localhost").pathname);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const found = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return response.ok ? await response.text() : String(response.status);
  };
  for (const path of ["/", "/classes", "/class/name%3Acat.v2", "/class/name%3Aa%2Fb.png", "/version/my.photos/2"])
    assert.equal(await found(path), "the page", path);
  assert.equal(await found("/assets/index-1.js"), "the code");
  for (const path of ["/assets/index-0.js", "/favicon.ico", "/robots.txt"])
    assert.equal(await found(path), "404", path);
  await new Promise((done) => server.close(done));
  await rm(folder, { recursive: true });
});
