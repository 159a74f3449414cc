import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TeacherComparison } from "../../../pipelines/teachers/compare-teachers.js";
import type { ApiError } from "../../../schemas/api/shared.js";
import { teacherComparisonSchema } from "../../../schemas/api/teachers.js";
import type { ImageLife, Review } from "../../../schemas/api/images.js";
import type { ClassRows } from "../../../schemas/api/versions.js";
import type { Answer, CurveAnswered, Facets, Wall, WhatifAnswered } from "../../../schemas/api/whatif.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { CommandFolder } from "../../fixtures/command-folder.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { photograph } from "../../fixtures/photograph.js";
import { ConsoleSite } from "../console-site.js";

const PICTURES = 6;
const CLASSES = 10;
const DATASETS =
  "[{ name: flowers, select: { k: 5, p: 3 }, reserve: 30 }, { name: clean, select: { k: 5, p: 3, near: { distance: 31, within: class } }, reserve: 30 }, { name: uneven, select: { k: { default: 3, classes: { '#1': 6 } }, p: 3 }, reserve: 30 }, { name: again, select: { k: 60, p: 1, repeat: true } }]";

describe("a wall", () => {
  let place: CommandFolder;
  let site: ConsoleSite;

  before(async () => {
    // Random pictures have no structure to be like each other by; photographs have.
    place = await CommandFolder.make({ images: 14, datasets: DATASETS });
    await mkdir(join(place.path, "pictures", "more"));
    await mkdir(join(place.path, "test"));
    for (let number = 0; number < PICTURES; number++) {
      const image = await photograph(number);
      const to = (name: string): string => join(place.path, "pictures", "more", `${number}-${name}`);
      await image.clone().png().toFile(to("whole.png"));
      await image.clone().resize(120, 90).jpeg({ quality: 80 }).toFile(to("small.jpg"));
      if (number < 2)
        await image
          .clone()
          .jpeg()
          .toFile(join(place.path, "test", `${number}.jpg`));
    }
    site = ConsoleSite.at(place.path);
    assert.equal((await site.sluice(["ingest", "pictures"])).code, 0);
    await site.serve();
  });

  after(async () => {
    await site.stop();
    await place.remove();
  });

  const wallOf = (dataset: string, index: number, query = ""): Promise<Wall> =>
    site.settled<Wall>(`/api/datasets/${dataset}/classes/${index}/wall?limit=200${query}`);
  const digests = ({ rows }: { readonly rows: readonly { readonly row: { readonly sha256: string } }[] }): string[] =>
    rows.map(({ row }) => row.sha256);

  /** That each class's wall begins with what a version of now has, row by row. */
  async function isAsPublished(dataset: string): Promise<void> {
    assert.equal((await site.sluice(["rebuild", dataset])).code, 0);
    for (let index = 0; index < CLASSES; index++) {
      const wall = await wallOf(dataset, index);
      const { rows } = (await site.get(`/api/versions/${dataset}/latest/classes/${index}/rows`)) as ClassRows;
      assert.deepEqual(
        wall.rows.slice(0, wall.kept).map(({ row }) => [row.sha256, row.by, row.key, row.probability]),
        rows.map(({ sha256, by, key, probability }) => [sha256, by, key, probability]),
        `${dataset}, class ${index}`,
      );
      assert.equal(wall.cutoff, rows.at(-1)?.by === "label" ? null : (rows.at(-1)?.probability ?? null));
    }
  }

  test("leaves out near duplicates as a version does, and shows which, and of what", async () => {
    await isAsPublished("clean");
    let left = 0;
    for (let index = 0; index < CLASSES; index++) {
      const wall = await wallOf("clean", index);
      const out = await wallOf("clean", index, "&show=left-out");
      assert.deepEqual([out.shown, out.rows.length, out.shownKept], [wall.leftOut, wall.leftOut, 0]);
      const ranked = new Set(digests(wall));
      for (const { row, leftOut } of out.rows) {
        assert.equal(leftOut!.by, "near");
        assert.ok(!ranked.has(row.sha256) && ranked.has(leftOut!.partner));
      }
      assert.equal(
        wall.rows.reduce((sum, { like }) => sum + like, 0),
        out.rows.length,
      );
      left += out.rows.length;
    }
    assert.ok(left >= PICTURES, `${left} copies`);
    const { answer, refused } = await site.settled<WhatifAnswered>("/api/datasets/clean/whatif?k=7");
    assert.equal(answer, null);
    assert.match(refused!, /`sluice whatif` answers/);
  });

  test("is found by its class's name as by its number", async () => {
    const byNumber = await wallOf("flowers", 2);
    for (const name of [`name:${byNumber.label}`, "name:#2"]) {
      const path = `/api/datasets/flowers/classes/${encodeURIComponent(name)}`;
      assert.deepEqual(await site.settled<Wall>(`${path}/wall?limit=200`), byNumber);
      assert.equal((await site.call(`${path}/facets`)).status, 200);
      const rows = await site.get(`/api/versions/flowers/latest/classes/${encodeURIComponent(name)}/rows`);
      assert.equal((rows as ClassRows).class, 2);
    }
    for (const [name, status] of [
      ["name:nosuch", 404],
      ["nosuch", 400],
      ["name:", 400],
    ] as const) {
      const answered = await site.call(`/api/datasets/flowers/classes/${name}/wall`);
      assert.deepEqual([answered.status, (answered.json() as ApiError).error.field], [status, "class"]);
    }
  });

  test("of a dataset whose classes have a K of their own is what whatif prints, without a K as with one", async () => {
    for (const query of ["", "?k=2"]) {
      const { answer } = await site.settled<WhatifAnswered>(`/api/datasets/uneven/whatif${query}`);
      const more = query === "" ? [] : ["--k", "2"];
      const told = (await site.told("whatif", "uneven", ...more)) as { readonly answers: readonly Answer[] };
      const { exact, why, newest, ...figures } = answer!;
      assert.deepEqual([figures, exact, why !== "", newest !== null], [told.answers[0], true, true, true]);
    }
  });

  test("of classes that are filled by repeats has doubtful rows, too: the last ones of each once", async () => {
    const { items } = (await site.get("/api/review/doubtful?dataset=again&limit=500")) as Review;
    const expected: string[] = [];
    for (let index = 0; index < CLASSES; index++) {
      const path = `/api/versions/again/latest/classes/${index}/rows?limit=500`;
      const rows = ((await site.get(path)) as ClassRows).rows.filter(({ repeat }) => repeat === 0);
      expected.push(...rows.slice(-8).map(({ sha256 }) => `${index} ${sha256}`));
    }
    assert.ok(expected.length > 0);
    assert.deepEqual(items.map((item) => `${item.class} ${item.sha256}`).sort(), expected.sort());
  });

  test("gives the rows of one what-if at a time", async () => {
    const path = "/api/datasets/flowers/whatif/rows?k=3";
    const both = await Promise.all([site.call(path), site.call(path)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409]);
    assert.equal((await site.call(path)).status, 200);
  });

  test("shows images that look the same together, the best first", async () => {
    for (let index = 0; index < 3; index++) {
      const like = await wallOf("flowers", index, "&show=like");
      assert.match(like.note!, /^31 of 256 bits/);
      for (const first of new Set(like.rows.map(({ group }) => group))) {
        const rows = like.rows.filter(({ group }) => group === first);
        const names = rows.map(({ row }) => /(\d+)-(whole|small)\.\w+$/.exec(row.uri)![1]);
        assert.deepEqual([new Set(names).size, rows.length, rows[0]!.place], [1, 2, first]);
        assert.ok(rows[0]!.place < rows[1]!.place);
      }
    }
  });

  test("is filtered by source, day and licence, and says how many there are of each", async () => {
    const whole = await wallOf("flowers", 1);
    const facets = (await site.get("/api/datasets/flowers/classes/1/facets")) as Facets;
    const sum = (of: Facets["days"]): number => of.reduce((all, { count }) => all + count, 0);
    assert.deepEqual(
      [sum(facets.sources), sum(facets.days), sum(facets.licences)],
      [whole.total, whole.total, whole.total],
    );
    assert.deepEqual([facets.licences.map(({ value }) => value), facets.others], [[""], []]);
    for (const { value, count } of facets.sources) {
      const some = await wallOf("flowers", 1, `&source=${encodeURIComponent(value)}`);
      const expected = whole.rows.filter(({ row }) => row.uri.slice(0, row.uri.lastIndexOf("/") + 1) === value);
      assert.deepEqual([some.shown, count], [expected.length, expected.length]);
      assert.deepEqual(some.rows, expected);
      assert.equal(some.shownKept, expected.filter(({ place: at }) => at < whole.kept).length);
      const own = await wallOf("flowers", 1, `&basis=version&source=${encodeURIComponent(value)}`);
      assert.deepEqual(digests(own), digests({ rows: expected.filter(({ versionRank }) => versionRank !== null) }));
    }
    const [day] = facets.days;
    assert.equal((await wallOf("flowers", 1, `&day=${day!.value}`)).shown, day!.count);
    assert.equal((await wallOf("flowers", 1, "&day=1999-01-01")).shown, 0);
    assert.equal((await wallOf("flowers", 1, "&licence=")).shown, whole.total);
    assert.equal((await wallOf("flowers", 1, "&licence=CC0")).shown, 0);
    for (const [query, field] of [
      ["day=yesterday", "day"],
      ["show=everything", "show"],
      ["other=zz", "other"],
      ["source=" + "x".repeat(3000), "source"],
    ] as const) {
      const answered = await site.call(`/api/datasets/flowers/classes/1/wall?${query}`);
      assert.deepEqual([answered.status, (answered.json() as ApiError).error.field], [400, field]);
    }
    assert.equal((await site.call("/api/datasets/flowers/classes/99/facets")).status, 404);
  });

  test("shows where another teacher disagrees, as the images' lives do", async () => {
    const none = await wallOf("flowers", 2, "&show=disagree");
    assert.deepEqual([none.shown, none.note], [0, "no other teacher has scored this stream"]);
    const { card } = await writeSmallTeacher(join(place.path, "other"), "onnx", { seed: 9 });
    const [other, digest] = [card.name, teacherDigest(card)];
    assert.equal(await site.apart(["replay", "--teacher", "other"]), 0);
    const whole = await wallOf("flowers", 2);
    const { teachers } = (await site.told("teacher", "list")) as {
      readonly teachers: { digest: string; state: string }[];
    };
    const stands = teachers.find(({ state }) => state === "stands")!.digest;
    const expected: [string, string, number][] = [];
    for (const sha256 of digests(whole)) {
      const { sightings } = (await site.get(`/api/images/${sha256}`)) as ImageLife;
      const [best] = sightings.find(({ teacher }) => teacher !== stands)!.scores;
      if (best!.label !== whole.label) expected.push([sha256, best!.label, best!.probability]);
    }
    const shown = await wallOf("flowers", 2, "&show=disagree");
    assert.equal(shown.note, `by ${other}`);
    assert.deepEqual(
      shown.rows.map(({ row, other: opinion }) => [row.sha256, opinion!.label, opinion!.probability]),
      expected,
    );
    const told = (await site.told("teacher", "compare", "other")) as TeacherComparison;
    const compared = teacherComparisonSchema.parse(await site.settled(`/api/teachers/${digest}/compare?limit=500`));
    assert.deepEqual([compared.both, compared.same], [told.both, told.same]);
    for (const one of compared.classes) {
      const { first, second, both } = told.classes[one.class]!;
      assert.deepEqual([one.first, one.second, one.both], [first, second, both]);
      assert.deepEqual([one.came.length, one.went.length], [Math.min(12, second - both), Math.min(12, first - both)]);
    }
    const [most] = compared.classes;
    assert.ok(most!.came.every(({ other: label }) => label !== most!.label));
    assert.equal((await site.call(`/api/teachers/${stands}/compare`)).status, 404, "itself");
    const page = join(place.path, "compared.html");
    assert.equal((await site.sluice(["teacher", "compare", "other", "--html", "compared.html"])).code, 0);
    assert.match(await readFile(page, "utf8"), /<img alt="[0-9a-f]{12}" src="data:image/);
    const { others } = (await site.get("/api/datasets/flowers/classes/2/facets")) as Facets;
    assert.deepEqual(
      others.map(({ name }) => name),
      [other],
    );
  });

  test("begins with what people placed there, as the next version does; another K is what whatif prints", async () => {
    const walls = await Promise.all(Array.from({ length: CLASSES }, (_, index) => wallOf("flowers", index)));
    const [before, next] = walls.toSorted((a, b) => b.total - a.total) as [Wall, Wall];
    const last = before.rows.at(-1)!.row.sha256;
    const elsewhere = digests(next).find((sha256) => !digests(before).includes(sha256)) ?? last;
    for (const sha256 of new Set([last, elsewhere])) {
      const body = { verdict: "is", class: before.label, sha256: [sha256] };
      assert.equal((await site.call("/api/labels", { method: "POST", body })).status, 200);
    }
    const gone = { verdict: "duplicate", sha256: [before.rows[1]!.row.sha256] };
    assert.equal((await site.call("/api/labels", { method: "POST", body: gone })).status, 200);
    const after = await wallOf("flowers", before.class);
    const placed = after.rows.filter(({ row }) => row.by === "label");
    assert.deepEqual(digests({ rows: placed }), [...new Set([last, elsewhere])].sort());
    assert.deepEqual([after.rows[0]!.row.by, after.retracted], ["label", 1]);
    assert.ok(!digests(after).includes(before.rows[1]!.row.sha256), "a duplicate is taken out");
    for (const dataset of ["flowers", "clean"]) await isAsPublished(dataset);

    const { curve } = (await site.get("/api/datasets/flowers/curve")) as CurveAnswered;
    for (const k of [1, 2, 5, curve!.exactTo ?? 8]) {
      const told = (await site.told("whatif", "flowers", "--k", String(k))) as { readonly answers: readonly Answer[] };
      const { answer } = await site.settled<WhatifAnswered>(`/api/datasets/flowers/whatif?k=${k}`);
      const { exact, why, newest, ...figures } = answer!;
      assert.deepEqual([figures, exact, why !== "", newest !== null], [told.answers[0], true, true, true], `K ${k}`);
    }
  });

  test("leaves out guarded images as soon as they are guarded", async () => {
    assert.equal(await site.apart(["guard", "add", "holdout", "test"]), 0);
    await new Promise((done) => setTimeout(done, 1100));
    await isAsPublished("clean");
    let guarded = 0;
    for (let index = 0; index < CLASSES; index++) {
      const { rows } = await wallOf("flowers", index, "&show=left-out");
      guarded += rows.filter(({ leftOut }) => leftOut!.by === "guard" && leftOut!.set === "holdout").length;
    }
    assert.ok(guarded > 0);
  });
});
