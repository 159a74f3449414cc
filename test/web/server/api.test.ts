import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { tableFromIPC } from "apache-arrow";
import { parquetReadObjects } from "hyparquet";
import { z } from "zod";
import type { Answer, CurveAnswered, Wall, WhatifAnswered } from "../../../schemas/api/whatif.js";
import type { ClassDiffRows, ClassPage, ClassRows, Diff } from "../../../schemas/api/versions.js";
import type { ImageLife, Labelled, Review } from "../../../schemas/api/images.js";
import { EventStreams } from "../../../web/server/events.js";
import { consoleOperations } from "../../../web/server/operations.js";
import { isSchema, openApi } from "../../../web/server/open-api.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { ConsoleSite } from "../console-site.js";

let site: ConsoleSite;
const operations = consoleOperations(new EventStreams());

before(async () => {
  site = await ConsoleSite.make();
  await site.serve();
});

after(() => site.remove());

const settled = <T extends { readonly pending: unknown }>(path: string): Promise<T> => site.settled<T>(path);

describe("what the console answers", () => {
  test("is what the commands print with --json", async () => {
    assert.deepEqual(await site.get("/api/versions"), await site.told("versions", "list"));
    assert.deepEqual(await site.get("/api/versions/flowers/latest"), await site.told("versions", "show", "latest"));
    const status = (await site.get("/api/status")) as { readonly teachers: unknown };
    assert.deepEqual({ ...status, holder: null }, { ...((await site.told("status")) as object), holder: null });
    assert.deepEqual(await site.get("/api/labels"), await site.told("label", "list"));
    const quarantine = (await site.get("/api/review/quarantine")) as Review;
    const listed = (await site.told("quarantine", "list")) as { readonly count: number; readonly byCode: object };
    assert.deepEqual([quarantine.total, quarantine.byCode], [listed.count, listed.byCode]);
  });

  test("of another K is what whatif prints, for each K as far as the ranking goes", async () => {
    await settled("/api/datasets/flowers/classes/0/wall");
    const { curve } = (await site.get("/api/datasets/flowers/curve")) as CurveAnswered;
    const most = curve!.exactTo ?? 14;
    const ks = Array.from({ length: most }, (_, k) => k + 1);
    const told = (await site.told("whatif", "--k", ks.join(","))) as { readonly answers: Omit<Answer, "why">[] };
    for (const [at, k] of ks.entries()) {
      const { answer } = await settled<WhatifAnswered>(`/api/datasets/flowers/whatif?k=${k}`);
      const { exact, why, newest, ...figures } = answer!;
      assert.deepEqual(figures, told.answers[at], `K ${k}`);
      assert.deepEqual([exact, newest!.number], [true, 1]);
      assert.match(why, /^exact from top-M/);
      const point = curve!.points.find((one) => one.k === k);
      if (point !== undefined) assert.deepEqual({ ...point, starving: figures.starving }, figures);
    }
  });

  test("of a K beyond what is held is pending first, and then what whatif prints", async () => {
    const far = await settled<WhatifAnswered>("/api/datasets/flowers/whatif?k=40&p=2");
    const told = (await site.told("whatif", "--k", "40", "--p", "2")) as { readonly answers: object[] };
    const { exact, why, newest } = far.answer!;
    assert.deepEqual(far.answer, { ...told.answers[0], exact, why, newest });
    assert.equal(exact, true);
  });

  test("keeps to the schemas of its document, for every call", async () => {
    const sha256 = ((await site.get("/api/versions/flowers/1/classes/0/rows")) as ClassRows).rows[0]!.sha256;
    const values: Record<string, string> = { dataset: "flowers", version: "1", class: "0", sha256, kind: "audit" };
    const queries: Record<string, string> = {
      "/api/diff": "?dataset=flowers&before=1&after=1",
      "/api/diff/rows": "?dataset=flowers&before=1&after=1&class=0",
    };
    let checked = 0;
    for (const { method, route, answer } of operations) {
      // Of another teacher than the one that stands: see wall.test.ts.
      if (method !== "GET" || !isSchema(answer) || route.includes("{digest}")) continue;
      const path = route.replace(/\{(\w+)\}/g, (_, name: string) => values[name]!);
      const json = await site.get(path + (queries[route] ?? ""));
      const parsed = answer.safeParse(json);
      assert.ok(parsed.success, `${route}: ${parsed.success ? "" : z.prettifyError(parsed.error)}`);
      checked++;
    }
    assert.ok(checked >= 15, `${checked} calls`);
    assert.deepEqual(await site.get("/api/openapi.json"), JSON.parse(JSON.stringify(openApi(operations))));
  });

  test("is described by a document in which every path, parameter and reference is there", () => {
    const document = openApi(operations) as {
      readonly paths: Record<
        string,
        Record<
          string,
          {
            operationId: string;
            parameters: { name: string; in: string; required: boolean; schema: object }[];
            responses: object;
          }
        >
      >;
      readonly components: { readonly schemas: object };
    };
    const ids = new Set<string>();
    for (const [route, methods] of Object.entries(document.paths)) {
      for (const { operationId, parameters, responses } of Object.values(methods)) {
        assert.ok(!ids.has(operationId), operationId);
        ids.add(operationId);
        const named = [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        assert.deepEqual(
          parameters
            .filter((one) => one.in === "path")
            .map(({ name }) => name)
            .sort(),
          named.sort(),
          route,
        );
        for (const { name, schema } of parameters)
          assert.ok(Object.keys(schema).length > 0, `${route} ${name} has a type`);
        assert.ok("200" in responses && "default" in responses);
      }
    }
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
    assert.ok(references.length > 0 && references.every(([, name]) => name! in document.components.schemas));
  });
});

describe("rows of a version and of a what-if", () => {
  test("are the same as JSON, Arrow and Parquet", async () => {
    const manifest = (await site.get("/api/versions/flowers/1")) as Manifest;
    const whole = (path: string) => site.call(path).then(({ bytes }) => bytes);
    for (const base of ["/api/versions/flowers/1/rows?", "/api/datasets/flowers/whatif/rows?k=4&"]) {
      const json = JSON.parse((await whole(`${base}format=json`)).toString()) as {
        sha256: string;
        rank: number;
        key: number;
        offset: number;
      }[];
      const expected = json.map(({ sha256, rank, key, offset }) => [sha256, rank, key, offset]);
      const arrow = tableFromIPC(await whole(`${base}format=arrow`)).toArray() as {
        sha256: string;
        rank: number;
        key: number;
        offset: bigint;
      }[];
      assert.deepEqual(
        arrow.map(({ sha256, rank, key, offset }) => [sha256, rank, key, Number(offset)]),
        expected,
      );
      const parquet = await whole(`${base}format=parquet`);
      const file = parquet.buffer.slice(parquet.byteOffset, parquet.byteOffset + parquet.length) as ArrayBuffer;
      const rows = (await parquetReadObjects({ file })) as Record<string, unknown>[];
      assert.deepEqual(
        rows.map((row) => [row["sha256"], row["rank"], row["key"], Number(row["offset"])]),
        expected,
      );
      assert.equal(json.length > 0 && json.length <= manifest.totals.rows, true);
    }
  });

  test("of another K have as many rows as whatif says", async () => {
    const json = JSON.parse((await site.call("/api/datasets/flowers/whatif/rows?k=3")).bytes.toString()) as unknown[];
    const { answer } = await settled<WhatifAnswered>("/api/datasets/flowers/whatif?k=3");
    assert.equal(json.length, answer!.rows);
  });
});

describe("a class's wall", () => {
  test("shows the version's rows first, then those just outside, and the next moves up after a verdict; undo puts it back", async () => {
    const wall = await settled<Wall>("/api/datasets/flowers/classes/2/wall?limit=20");
    assert.equal(wall.basis, "archive");
    const version = (await site.get("/api/versions/flowers/1/classes/2/rows")) as ClassRows;
    assert.deepEqual(
      wall.rows.slice(0, version.total).map(({ row }) => row.sha256),
      version.rows.map(({ sha256 }) => sha256),
    );
    assert.deepEqual(wall.rows.map(({ versionRank }) => versionRank).slice(0, 7), [1, 2, 3, 4, 5, 6, null]);
    const [first, second] = wall.rows;
    const outside = wall.rows[wall.kept]!;

    const body = { verdict: "not", class: wall.label, sha256: [first!.row.sha256], seen: 0 };
    const said = await site.call("/api/labels", { method: "POST", body });
    assert.equal(said.status, 200, said.bytes.toString());
    const { images } = said.json() as Labelled;
    assert.deepEqual(
      images[0]!.labels.map(({ verdict, by }) => [verdict, by]),
      [["not", "anna"]],
    );
    const after = await settled<Wall>("/api/datasets/flowers/classes/2/wall?limit=20");
    assert.equal(after.rows[0]!.row.sha256, second!.row.sha256);
    assert.equal(after.rows[wall.kept - 1]!.row.sha256, outside.row.sha256, "the next one has moved up");
    assert.equal(after.retracted, 1);
    assert.deepEqual(await site.get("/api/labels"), await site.told("label", "list"));

    const other = await site.call("/api/labels", { method: "POST", body: { ...body, by: "bert" } });
    assert.equal(other.status, 409, "another tab that has not seen it is told so");
    assert.match(other.bytes.toString(), /"by":"anna"/);

    const undone = await site.call("/api/labels/undo", {
      method: "POST",
      body: { sha256: first!.row.sha256, seen: 1 },
    });
    assert.equal(undone.status, 200, undone.bytes.toString());
    const before = await settled<Wall>("/api/datasets/flowers/classes/2/wall?limit=20");
    assert.deepEqual(
      before.rows,
      wall.rows.map((one, place) => (place === 0 ? { ...one, seen: 2 } : one)),
      "as before, and the verdict and its withdrawal count as seen",
    );
  });

  test("undo leaves what was said before", async () => {
    const { rows } = (await site.get("/api/versions/flowers/1/classes/4/rows")) as ClassRows;
    const sha256 = rows[0]!.sha256;
    const post = (path: string, body: object) => site.call(path, { method: "POST", body });
    assert.equal((await post("/api/labels", { verdict: "none", sha256: [sha256], by: "bert" })).status, 200);
    assert.equal((await post("/api/labels", { verdict: "is", class: "#4", sha256: [sha256] })).status, 200);
    const undone = (await post("/api/labels/undo", { sha256 })).json() as Labelled;
    assert.deepEqual(undone.images[0]!.labels.at(-1), {
      ...undone.images[0]!.labels.at(-1),
      verdict: "none",
      by: "bert",
    });
    const life = (await site.get(`/api/images/${sha256}`)) as ImageLife;
    assert.equal(life.labels.length, 4);
    assert.equal((await post("/api/labels/undo", { sha256 })).status, 200);
  });
});

test("an image's life says where it was seen, scored and chosen, and by how much it missed", async () => {
  const wall = await settled<Wall>("/api/datasets/flowers/classes/1/wall?limit=20");
  const chosen = (await site.get(`/api/images/${wall.rows[0]!.row.sha256}`)) as ImageLife;
  assert.equal(chosen.bytes, "there");
  assert.equal(chosen.sightings[0]!.uri, wall.rows[0]!.row.uri);
  const fate = chosen.fates.find((one) => one.class === 1)!;
  assert.deepEqual([fate.rank, fate.because], [1, "rank 1 of 6"]);
  const missed = (await site.get(`/api/images/${wall.rows[wall.kept]!.row.sha256}`)) as ImageLife;
  const place = missed.sightings[0]!.scores.findIndex((one) => one.class === 1);
  const missedFate = missed.fates.find((one) => one.class === 1);
  if (place < 3) assert.match(missedFate!.because, /below the cut-off of version 1$/);
  // An image stands for its three best classes: of each it is said what became of it.
  for (const { fates, sightings } of [chosen, missed])
    for (const { class: index } of sightings[0]!.scores.slice(0, 3))
      assert.ok(
        fates.some((one) => one.class === index),
        `class ${index}`,
      );
});

test("classes are sorted, searched and paged, and a diff has the reason of each image", async () => {
  const page = (await site.get("/api/versions/flowers/1/classes?order=cutoff&limit=3&from=1")) as ClassPage;
  assert.deepEqual([page.rows.length, page.found, page.classes], [3, 10, 10]);
  const { worst } = page.rows[0]!;
  assert.ok(worst! <= page.rows[1]!.worst!);
  const none = (await site.get("/api/versions/flowers/1/classes?search=no%20such")) as ClassPage;
  assert.deepEqual([none.found, none.rows], [0, []]);

  const { rows } = (await site.get("/api/versions/flowers/1/classes/2/rows")) as ClassRows;
  const label = rows[0]!.label;
  assert.equal((await site.sluice(["label", "not", label, rows[0]!.sha256, "--by", "carl"])).code, 0);
  assert.equal((await site.sluice(["rebuild"])).code, 0);
  const diff = (await site.get("/api/diff?dataset=flowers&before=1&after=2")) as Diff;
  assert.deepEqual(diff, await site.told("versions", "diff", "1", "2"));
  const at = diff.classes.findIndex((one) => one.class === 2);
  const changed = (await site.get(`/api/diff/rows?dataset=flowers&before=1&after=2&class=${at}`)) as {
    readonly left: { readonly rows: { readonly reason: string; readonly because: string }[] };
    readonly entered: { readonly rows: { readonly reason: string }[] };
  };
  assert.deepEqual(
    changed.left.rows.map(({ reason, because }) => [reason, because]),
    [["label", `carl said that it is not ${label}`]],
  );
  assert.deepEqual(
    changed.entered.rows.map(({ reason }) => reason),
    ["room"],
  );
  const of = async (query: string): Promise<ClassDiffRows> =>
    (await site.get(`/api/diff/rows?dataset=flowers&before=1&after=2&${query}`)) as ClassDiffRows;
  const byName = await of(`class=${encodeURIComponent(`name:${label}`)}`);
  assert.deepEqual(byName, changed);
  const ranked = await of(`class=${at}&reason=rank`);
  assert.deepEqual(
    [ranked.entered.rows, ranked.left.rows, ranked.moved.rows],
    [[], [], byName.moved.rows.filter(({ reason }) => reason === "rank")],
  );
  assert.ok(ranked.moved.shown > 0 && ranked.left.shown === 0 && ranked.left.total === 1);
  assert.deepEqual(ranked.moved.reasons, byName.moved.reasons, "all of them are told still");
  assert.equal((await site.call(`/api/diff/rows?dataset=flowers&before=1&after=2&class=0&reason=why`)).status, 400);
});

test("review queues page through doubtful rows and an audit whose interval follows the verdicts", async () => {
  const doubtful = (await site.get("/api/review/doubtful?limit=5")) as Review;
  assert.equal(doubtful.items.length, 5);
  const probabilities = doubtful.items.map(({ probability }) => probability!);
  assert.deepEqual(
    probabilities,
    probabilities.toSorted((a, b) => a - b),
  );
  const audit = (await site.get("/api/review/audit")) as Review;
  assert.ok(audit.total > 0 && audit.precision === null);
  const [one] = audit.items.filter(({ said }) => said === null);
  assert.equal(
    (
      await site.call("/api/labels", {
        method: "POST",
        body: { verdict: "is", class: one!.label, sha256: [one!.sha256] },
      })
    ).status,
    200,
  );
  const judged = ((await site.get("/api/review/audit")) as Review).precision!;
  assert.ok(judged.judged >= 1 && judged.low <= judged.share && judged.share <= judged.high);
});

test("hands out no picture of an image that was erased, wherever its bytes still lie", async () => {
  const { rows } = (await site.get("/api/versions/flowers/latest/classes/5/rows")) as ClassRows;
  const { sha256 } = rows[0]!;
  const shown = await site.call(`/api/images/${sha256}/picture`);
  assert.deepEqual([shown.status, shown.headers["cache-control"]], [200, "private, max-age=300"]);
  assert.equal((await site.sluice(["erase", sha256, "--yes"])).code, 0);
  for (const what of ["picture", "bytes"]) {
    let answered = await site.call(`/api/images/${sha256}/${what}`);
    for (let turn = 0; answered.status === 200 && turn < 200; turn++) {
      await new Promise((done) => setTimeout(done, 50));
      answered = await site.call(`/api/images/${sha256}/${what}`);
    }
    assert.deepEqual([answered.status, /it was erased/.test(answered.bytes.toString())], [404, true]);
  }
});
