import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { RecordedTerminal } from "../../cli/recorded-terminal.js";
import type { Labelled, Review, RetriedRecords } from "../../../schemas/api/images.js";
import type { TeacherChange, TeacherList } from "../../../schemas/api/teachers.js";
import type { ClassPage, ClassRows, VersionList } from "../../../schemas/api/versions.js";
import type { EvaluationRecord } from "../../../schemas/model-record.js";
import { writePictures } from "../../fixtures/pictures.js";
import { ConsoleSite } from "../console-site.js";
import { CHECKED, putStudent } from "../stored-student.js";

describe("what a console does beside showing", () => {
  let site: ConsoleSite;
  let terminal: RecordedTerminal;

  before(async () => {
    site = await ConsoleSite.make();
    terminal = await site.serve();
  });

  after(() => site.remove());

  const post = (path: string, body: object) => site.call(path, { method: "POST", body });

  test("pauses, and says so in status; who looked at something else is told", async () => {
    const paused = await post("/api/control", { want: "pause", seen: null, reason: "a test", by: "bert" });
    assert.equal(paused.status, 200, paused.bytes.toString());
    const status = (await site.told("status")) as { readonly control: { want: string; by: string; reason: string } };
    assert.deepEqual([status.control.want, status.control.by, status.control.reason], ["pause", "bert", "a test"]);
    assert.deepEqual(((await site.get("/api/status")) as typeof status).control, status.control);
    assert.equal((await post("/api/control", { want: "drain", seen: null })).status, 409);
    assert.equal((await post("/api/control", { want: "run", seen: 0 })).status, 200);
    const wrong = await post("/api/control", { want: "stop" });
    assert.deepEqual([wrong.status, (wrong.json() as { error: { field: string } }).error.field], [400, "want"]);
  });

  test("shows what the teacher was least sure of, exactly while it can read all", async () => {
    const { items, basis, total } = (await site.get("/api/review/unsure?limit=500")) as Review;
    assert.match(basis!, /^exact: the least sure of \d+ archived rows, which is all$/);
    const keys = items.map(({ probability }) => probability!);
    assert.deepEqual(
      keys,
      keys.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(items.map(({ sha256 }) => sha256)).size, total, "each image once");
    // Another way to the same: each image's own life.
    for (const { sha256, probability, label } of [items[0]!, items.at(-1)!]) {
      const life = (await site.get(`/api/images/${sha256!}`)) as {
        readonly sightings: readonly { readonly scores: readonly { label: string; probability: number }[] }[];
      };
      assert.deepEqual(life.sightings[0]!.scores[0], { ...life.sightings[0]!.scores[0], label, probability });
    }
  });

  test("of two verdicts at the same moment takes one; what stands already is nothing new, and no undo", async () => {
    const { rows } = (await site.get("/api/versions/flowers/latest/classes/3/rows")) as ClassRows;
    const sha256 = [rows[0]!.sha256];
    const verdict = { verdict: "is", class: "#3", sha256 };
    const both = await Promise.all(["anna", "bert"].map((by) => post("/api/labels", { ...verdict, seen: 0, by })));
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409]);
    const [first] = (both.find(({ status }) => status === 200)!.json() as Labelled).images;
    assert.deepEqual([first!.seen, first!.labels.length], [1, 1]);
    const lines = terminal.stderr.text.split("\n").filter((line) => line.includes(sha256[0]!)).length;
    assert.equal(lines, 1);
    const again = (await post("/api/labels", { ...verdict, by: "carl" })).json() as Labelled;
    assert.deepEqual([again.labelled, again.images[0]!.seen], [0, 1]);
    assert.ok(!terminal.stderr.text.includes("carl"), "nobody's log says that carl said it");
    const other = (await post("/api/labels", { verdict: "none", sha256, by: "carl" })).json() as Labelled;
    assert.deepEqual([other.labelled, other.images[0]!.seen], [1, 2]);
  });

  test("takes records in quarantine up again, once, and the next ingest scores them", async () => {
    const { items } = (await site.get("/api/review/quarantine")) as Review;
    const { partition, offset } = items[0]!.refused!;
    const retried = await post("/api/quarantine/retry", { records: [{ partition, offset }] });
    assert.equal(retried.status, 200, retried.bytes.toString());
    assert.deepEqual(
      { ...(retried.json() as RetriedRecords), next: "" },
      { appended: 1, unavailable: 0, missing: 0, next: "" },
    );
    const none = (
      await post("/api/quarantine/retry", { records: [{ partition, offset: 99_999 }] })
    ).json() as RetriedRecords;
    assert.deepEqual([none.appended, none.missing], [0, 1]);
    const again = (await site.told("ingest", "pictures")) as { readonly counts: { readonly quarantined: number } };
    assert.equal(again.counts.quarantined, 1, "it was looked at again, and is no picture still");
  });

  test("publishes a declared dataset, and nothing that nobody declared", async () => {
    const undeclared = await post("/api/datasets/birds/publish", {});
    assert.equal(undeclared.status, 404);
    assert.match(undeclared.bytes.toString(), /Expected a declared dataset \(flowers\)/);
    const { versions } = (await site.get("/api/versions")) as VersionList;
    const newest = versions.at(-1)!.number;
    assert.equal((await post("/api/datasets/flowers/publish", { seen: newest + 7 })).status, 409);
    await writePictures(join(site.folder, "pictures", "more"), { images: 24 }, 9);
    await site.told("ingest", "pictures", "--no-publish");
    const made = (await post("/api/datasets/flowers/publish", { seen: newest })).json() as {
      number: number;
      id: string;
    };
    const told = (await site.told("versions", "show", "latest")) as { number: number; id: string };
    assert.deepEqual([made.number, made.id], [told.number, told.id]);
    assert.equal(made.number, newest + 1);
  });

  test("says how each class's share of what comes has changed since the version before", async () => {
    const page = await site.settled<ClassPage>("/api/versions/flowers/latest/classes?order=drift");
    assert.deepEqual([page.drift!.rowsNow, page.drift!.isWhole], [24, true]);
    const sum = (of: (row: ClassPage["rows"][number]) => number): number =>
      page.rows.reduce((all, row) => all + of(row), 0);
    assert.ok(Math.abs(sum(({ share }) => share!) - 1) < 1e-9);
    assert.ok(Math.abs(sum(({ shareBefore }) => shareBefore!) - 1) < 1e-9);
    const drifts = page.rows.map(({ share, shareBefore }) => Math.abs(share! - shareBefore!));
    assert.deepEqual(
      drifts,
      drifts.toSorted((a, b) => b - a),
    );
  });

  test("lists teachers with what they scored and made, and what the store takes, as the commands say", async () => {
    const { teachers } = (await site.get("/api/teachers")) as TeacherList;
    const status = (await site.told("status", "--storage")) as {
      readonly teachers: readonly { digest: string; frontier: readonly { origin: number; end: number }[] }[];
      readonly storage: object;
    };
    const [teacher] = teachers;
    const archived = status.teachers[0]!.frontier.reduce((all, { origin, end }) => all + end - origin, 0);
    assert.deepEqual([teacher!.digest, teacher!.streams[0]!.archived], [status.teachers[0]!.digest, archived]);
    const list = (await site.told("versions", "list")) as VersionList;
    assert.deepEqual(
      teacher!.versions.map(({ number, id, rows }) => [number, id, rows]),
      list.versions.map(({ number, id, rows }) => [number, id, rows]),
    );
    assert.deepEqual(await site.get("/api/storage"), status.storage);
  });

  test("shows trained models as the commands do, and lets a better one take the teacher's place, or leave it", async () => {
    const worse = await putStudent(site.folder, false);
    const better = await putStudent(site.folder);
    const { teachers, generations } = (await site.get("/api/teachers")) as TeacherList;
    const told = (await site.told("teacher", "list")) as {
      readonly teachers: readonly { digest: string; state: string; evaluation: EvaluationRecord | null }[];
    };
    assert.deepEqual(
      teachers.map(({ digest, state }) => [digest, state]).sort(),
      told.teachers.map(({ digest, state }) => [digest, state]).sort(),
    );
    const shown = teachers.find(({ digest }) => digest === better)!;
    const said = told.teachers.find(({ digest }) => digest === better)!.evaluation!;
    assert.equal(shown.evaluation!.model.accuracy, said.model.metrics.accuracy);
    assert.equal(shown.evaluation!.difference!.value, said.comparison!.difference);
    assert.deepEqual(shown.evaluation!.verdict, said.verdict);
    assert.deepEqual(shown.checked, CHECKED);
    assert.deepEqual([shown.evaluation!.confused.length, shown.evaluation!.confused[0]!.count], [5, 4]);
    assert.deepEqual([shown.training!.version!.number, shown.training!.labelled], [1, 120]);
    assert.deepEqual(
      generations.map(({ number, model, passes }) => [number, model, passes]),
      [
        [1, worse, false],
        [2, better, true],
      ],
    );

    const stands = teachers.find(({ state }) => state === "stands")!.digest;
    const change = (path: string, body: object): ReturnType<typeof post> => post(`/api/teachers/${path}`, body);
    const refused = await change(`${worse}/promote`, {});
    assert.equal(refused.status, 409);
    assert.match(refused.bytes.toString(), /E_TEACHER_CHANGE.*Its accuracy is lower/);
    assert.equal((await change(`${"0".repeat(64)}/promote`, {})).status, 404);
    assert.equal((await change("../promote", {})).status, 404);
    assert.equal((await change(`${better}/promote`, { seen: better })).status, 409, "another one stands");
    const made = await change(`${better}/promote`, { seen: stands, by: "bert" });
    assert.equal(made.status, 200, made.bytes.toString());
    const changed = made.json() as TeacherChange;
    assert.deepEqual([changed.stands, changed.next], [stands, better]);
    assert.ok(changed.path!.endsWith(better), "the model is here to be scored with");
    const states = async (): Promise<string[]> =>
      ((await site.told("teacher", "list")) as typeof told).teachers.map(({ state }) => state).sort();
    assert.deepEqual(await states(), ["next", "stands", "store"]);
    const back = await change("withdraw", { seen: stands });
    assert.deepEqual((back.json() as TeacherChange).next, null);
    assert.deepEqual(await states(), ["stands", "store", "store"]);
  });

  test("goes on beside a version of a newer release, and says which it is", async () => {
    const path = join(site.folder, "sluice-data", "store", "versions", "flowers", "1", "manifest.json");
    const manifest = await readFile(path, "utf8");
    await writeFile(
      path,
      manifest.replace('"schemaVersion":1', '"schemaVersion":99').replace('"schemaVersion": 1', '"schemaVersion": 99'),
    );
    const list = (await site.get("/api/versions")) as VersionList;
    assert.equal(list.damaged.length, 1);
    assert.deepEqual(list, await site.told("versions", "list"));
    assert.equal((await site.call("/api/overview")).status, 200);
    await writeFile(path, manifest);
  });

  test("writes nothing where it may not", async () => {
    await site.stop();
    await site.serve(["--read-only"]);
    for (const [path, body] of [
      ["/api/control", { want: "pause" }],
      ["/api/quarantine/retry", { records: [{ partition: 0, offset: 0 }] }],
      ["/api/datasets/flowers/publish", {}],
    ] as const)
      assert.equal((await post(path, body)).status, 403, path);
  });
});
