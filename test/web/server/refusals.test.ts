import assert from "node:assert/strict";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { sha256Hex } from "../../../schemas/canonical.js";
import type { ApiError } from "../../../schemas/api/shared.js";
import type { ClassRows, VersionList } from "../../../schemas/api/versions.js";
import type { Wall } from "../../../schemas/api/whatif.js";
import { ConsoleSite, type Answered } from "../console-site.js";

let site: ConsoleSite;

before(async () => {
  site = await ConsoleSite.make(40);
});

after(() => site.remove());

const errorOf = (answered: Answered): ApiError["error"] => (answered.json() as ApiError).error;

describe("a server on this machine alone", () => {
  before(() => site.serve());
  after(() => site.stop());

  test("answers only to its own name, and only to its own page", async () => {
    const own = `localhost:${site.port}`;
    for (const [headers, status] of [
      [{ host: own }, 200],
      [{ host: `127.0.0.1:${site.port}` }, 200],
      [{ host: `[::1]:${site.port}` }, 200],
      [{ host: `evil.example:${site.port}` }, 421],
      [{ host: own, origin: "https://evil.example" }, 403],
      [{ host: own, origin: `http://${own}` }, 200],
      [{ host: own, "sec-fetch-site": "cross-site" }, 403],
      [{ host: own, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }, 403],
      [{ host: own, "sec-fetch-site": "same-origin" }, 200],
    ] as const) {
      assert.equal((await site.call("/api/overview", { headers })).status, status, JSON.stringify(headers));
    }
    const page = await site.call("/", {
      headers: { host: own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
    });
    assert.notEqual(page.status, 403, "a link from elsewhere leads here");
    for (const path of ["/api/versions/flowers/1/verify", "//api/overview", "/api"]) {
      const headers = { host: own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
      assert.equal((await site.call(path, { headers })).status, 403, "it is no way to have the API work");
    }
  });

  test("takes what is no path for a wrong call, and who goes away for no fault", async () => {
    const { stderr } = await site.serve();
    for (const path of ["//", "//:", "/%"]) assert.ok((await site.call(path)).status < 500, path);
    const before = stderr.text;
    const sent = request({ port: site.port, host: "127.0.0.1", path: "/api/labels", method: "POST" });
    sent.on("error", () => undefined);
    sent.setHeader("content-type", "application/json");
    sent.write('{"verdict":');
    await new Promise((done) => setTimeout(done, 50));
    sent.destroy();
    for (let turn = 0; turn < 5; turn++) assert.equal((await site.call("/api/overview")).status, 200);
    assert.equal(stderr.text, before);
  });

  test("says of a dataset that never was that nobody declared it", async () => {
    for (const path of ["classes/0/wall", "classes/0/facets"]) {
      const answered = await site.call(`/api/datasets/nosuch/${path}`);
      assert.deepEqual([answered.status, errorOf(answered).code], [404, "E_DATASET_UNKNOWN"]);
      assert.match(errorOf(answered).message, /Expected a declared dataset, found "nosuch"/);
    }
  });

  test("takes no name that would forge a line of the log of actions", async () => {
    const post = (path: string, body: object) => site.call(path, { method: "POST", body });
    const sha256 = ["a".repeat(64)];
    for (const by of ["anna\ncarl: publish flowers", "\u001b[2Kanna", "\u202eanna", ""]) {
      const answered = await post("/api/labels", { verdict: "none", sha256, by });
      assert.deepEqual([answered.status, errorOf(answered).field], [400, "by"], JSON.stringify(by));
      assert.equal(errorOf(await post("/api/datasets/flowers/publish", { by })).field, "by");
    }
    assert.equal(errorOf(await post("/api/control", { want: "pause", reason: "so\nit is" })).field, "reason");
  });

  test("says what a browser may do with what it sends", async () => {
    for (const path of ["/api/overview", "/", "/api/none"]) {
      const { headers } = await site.call(path);
      assert.match(headers["content-security-policy"] as string, /default-src 'none'; script-src 'self'/);
      assert.doesNotMatch(headers["content-security-policy"] as string, /unsafe/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.match(headers["content-security-policy"] as string, /frame-ancestors 'none'/);
    }
  });

  test("takes a body of JSON alone, so that a form of another page says nothing", async () => {
    const body = JSON.stringify({ verdict: "none", sha256: ["0".repeat(64)] });
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      const answered = await site.call("/api/labels", { method: "POST", headers: { "content-type": type }, body });
      assert.equal(answered.status, 415);
    }
    const large = await site.call("/api/labels", { method: "POST", body: `"${"x".repeat(300_000)}"` });
    assert.equal(large.status, 413);
    assert.equal((await site.call("/api/labels", { method: "POST", body: "{" })).status, 400);
  });

  test("names the field that is wrong, and bounds what is asked for", async () => {
    const digest = "a".repeat(64);
    for (const [path, status, field] of [
      ["/api/versions/flowers/1/classes?limit=100000", 400, "limit"],
      ["/api/versions/flowers/1/classes?limit=ten", 400, "limit"],
      ["/api/versions/flowers/1/classes?from=-1", 400, "from"],
      ["/api/versions/flowers/1/classes?order=best", 400, "order"],
      ["/api/versions/flowers/1/classes?sort=best", 400, "sort"],
      ["/api/versions/flowers/first", 400, "version"],
      ["/api/versions/flowers/0", 400, "version"],
      ["/api/versions/..%2f..%2fetc/1", 400, "dataset"],
      ["/api/versions/flowers/1/classes/x/rows", 400, "class"],
      ["/api/versions/flowers/1/classes/99/rows", 200, undefined],
      ["/api/datasets/flowers/classes/99/wall", 404, "class"],
      ["/api/datasets/flowers/whatif?k=0", 400, "k"],
      ["/api/datasets/flowers/whatif?k=1.5", 400, "k"],
      ["/api/datasets/flowers/whatif?floor=2", 400, "floor"],
      ["/api/datasets/flowers/whatif?temperature=-1", 400, "temperature"],
      ["/api/datasets/none/whatif", 404, undefined],
      ["/api/versions/flowers/7", 404, undefined],
      ["/api/images/xyz", 400, "sha256"],
      [`/api/images/${digest}`, 404, undefined],
      [`/api/images/${digest}/picture`, 404, undefined],
      [`/api/images/${digest}/picture?side=4000`, 400, "side"],
      ["/api/images/..%2f..%2fversions/picture", 400, "sha256"],
      ["/api/review/nothing", 400, "kind"],
      ["/api/versions/flowers/1/rows?format=csv", 400, "format"],
      ["/api/diff?dataset=flowers&before=1", 400, "after"],
      ["/api/diff/rows?dataset=flowers&before=1&after=1&class=99", 404, "class"],
    ] as const) {
      const answered = await site.call(path);
      if (status === 200) continue;
      assert.equal(answered.status, status, `${path}: ${answered.bytes.toString()}`);
      const { code, message, field: named } = errorOf(answered);
      assert.match(code, /^E_/, path);
      assert.match(message, /xpected|nvalid|Too/, path);
      assert.equal(named, field, `${path}: ${message}`);
    }
    const class99 = await site.call("/api/versions/flowers/1/classes/99/rows");
    assert.deepEqual([class99.status, errorOf(class99).field], [404, "class"]);
    assert.deepEqual([(await site.call("/api/labels", { method: "DELETE" })).status], [405]);
    const label = (body: unknown): Promise<Answered> => site.call("/api/labels", { method: "POST", body });
    assert.equal(errorOf(await label({ verdict: "maybe", sha256: [digest] })).field, "verdict");
    assert.equal(errorOf(await label({ verdict: "none", sha256: [digest, "x"] })).field, "sha256.1");
    assert.equal(
      errorOf(await label({ verdict: "none", sha256: Array.from({ length: 501 }, () => digest) })).field,
      "sha256",
    );
    const unknown = await label({ verdict: "not", class: "<img src=x onerror=alert(1)>", sha256: [digest] });
    assert.deepEqual([unknown.status, errorOf(unknown).code], [400, "E_SELECTION"]);
  });

  test("hands out pictures made anew, and an image's own bytes only to be saved", async () => {
    const { rows } = (await site.get("/api/versions/flowers/1/classes/0/rows")) as ClassRows;
    const { sha256 } = rows[0]!;
    const picture = await site.call(`/api/images/${sha256}/picture?side=96`);
    assert.equal(picture.headers["content-type"], "image/png");
    assert.match(picture.headers["content-security-policy"] as string, /sandbox/);
    const bytes = await site.call(`/api/images/${sha256}/bytes`);
    assert.equal(sha256Hex(bytes.bytes), sha256);
    assert.equal(bytes.headers["content-type"], "application/octet-stream");
    assert.match(bytes.headers["content-disposition"] as string, /^attachment/);
  });

  test("finds an image by its digest after a restart, when no page has listed it", async () => {
    const { rows } = (await site.get("/api/versions/flowers/1/classes/0/rows")) as ClassRows;
    await site.stop();
    await site.serve();
    assert.equal((await site.call(`/api/images/${rows[1]!.sha256}/picture`)).status, 200);
  });

  test("serves no file of the disk, however it is asked", async () => {
    for (const path of [
      "/../package.json",
      "/..%2fpackage.json",
      "/assets/../../server/serve.js",
      "/%00",
      "//etc/passwd.html",
    ]) {
      const { status, bytes } = await site.call(path);
      assert.ok(status === 404 || bytes.includes("<!doctype html"), `${path}: ${status}`);
      assert.doesNotMatch(bytes.toString(), /"name": "sluice"|root:/);
    }
  });
});

describe("a server that others can reach", () => {
  const token = "0123456789abcdef-token";
  after(() => site.stop());

  test("does not start without a token, or with one that can be guessed", async () => {
    const none = await site.sluice(["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert.deepEqual([none.code, /Expected a token/.test(none.err)], [2, true]);
    await writeFile(join(site.folder, "token"), "short\n");
    const short = await site.sluice(["serve", "--host", "0.0.0.0", "--port", "0", "--token-file", "token"]);
    assert.deepEqual([short.code, /at least 16 characters/.test(short.err)], [2, true]);
  });

  test("answers with the token alone, as a header or as the cookie that a link leaves", async () => {
    await site.serve(["--host", "0.0.0.0"], { SLUICE_SERVE_TOKEN: token });
    const overview = (headers: Record<string, string>): Promise<Answered> => site.call("/api/overview", { headers });
    assert.equal((await overview({})).status, 401);
    assert.equal((await overview({ authorization: "Bearer wrong" })).status, 401);
    assert.equal((await overview({ authorization: `Bearer ${token}` })).status, 200);
    assert.equal((await site.call("/?token=wrong")).status, 401);
    const entered = await site.call(`/classes?token=${token}&x=1`);
    assert.deepEqual([entered.status, entered.headers.location], [303, "/classes?x=1"]);
    const [cookie] = entered.headers["set-cookie"] as string[];
    assert.match(cookie!, new RegExp(`^sluice-token-${site.port}=.*; HttpOnly; SameSite=Lax`));
    assert.equal((await overview({ cookie: cookie!.split(";")[0]! })).status, 200);
    assert.equal((await overview({ authorization: `Bearer ${token}`, origin: "http://evil.example" })).status, 403);
  });
});

test("a read-only server refuses verdicts", async () => {
  await site.serve(["--read-only"]);
  const said = await site.call("/api/labels", { method: "POST", body: { verdict: "none", sha256: ["a".repeat(64)] } });
  assert.deepEqual([said.status, /read-only/.test(said.bytes.toString())], [403, true]);
  await site.stop();
});

test("a port that is taken is said so, and a data folder that is not there", async () => {
  await site.serve();
  const taken = await site.sluice(["serve", "--port", String(site.port)]);
  assert.deepEqual([taken.code, /another process has it/.test(taken.err)], [2, true]);
  await site.stop();
  const none = await site.sluice(["serve", "--data", "nowhere"]);
  assert.deepEqual([none.code, /Expected a data folder/.test(none.err)], [1, true]);
});

test("pictures that are gone, versions that were deleted or are of a newer release are said, and the rest goes on", async () => {
  await site.serve();
  const { rows } = (await site.get("/api/versions/flowers/1/classes/0/rows")) as ClassRows;
  await rm(join(site.folder, "pictures"), { recursive: true });
  const gone = await site.call(`/api/images/${rows[5]!.sha256}/picture?side=384`);
  assert.deepEqual([gone.status, errorOf(gone).code], [404, "E_IMAGE_VANISHED"]);

  const versions = join(site.folder, "sluice-data", "store", "versions", "flowers");
  await mkdir(join(versions, "2"));
  await writeFile(join(versions, "2", "manifest.json"), JSON.stringify({ schemaVersion: 99 }));
  const listed = (await site.get("/api/versions")) as VersionList;
  assert.deepEqual([listed.versions.length, listed.damaged.length], [1, 1]);
  const newer = await site.call("/api/versions/flowers/2");
  assert.deepEqual([newer.status, errorOf(newer).code], [500, "E_VERSION_CORRUPT"]);
  await rm(join(versions, "2"), { recursive: true });

  const numbers = (await readdir(versions)).filter((name) => name !== "data");
  for (const name of numbers) await rm(join(versions, name), { recursive: true });
  const deleted = await site.call("/api/versions/flowers/1");
  assert.deepEqual([deleted.status, errorOf(deleted).code], [404, "E_VERSION_MISSING"]);
  const wall = await site.settled<Wall>("/api/datasets/flowers/classes/0/wall");
  assert.deepEqual([wall.basis, wall.version], ["archive", null], "the archive still ranks");
});
