import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { recordedTerminal } from "./recorded-terminal.js";

let site: CommandFolder;

before(async () => {
  site = await CommandFolder.make({ images: 16, datasets: "[{ name: best, select: { k: 4, p: 1 } }]" });
  await writeSmallTeacher(join(site.path, "b"), "onnx", { seed: 2 });
});
after(() => site.remove());

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = Object.assign(recordedTerminal({ folder: site.path }), { nowMs: Date.now });
  const code = await runProgram(args, terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

async function object<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await sluice(...args, "--json");
  assert.equal(code, 0, err + out);
  return JSON.parse(out) as T;
}

const states = async (): Promise<string[]> => {
  const { teachers } = await object<{ teachers: { name: string; state: string; offsets: number }[] }>(
    "teacher",
    "list",
  );
  return teachers.map(({ name, state, offsets }) => `${name} ${state} ${offsets}`);
};

test("a teacher is shadowed, compared, promoted, and taken back; each has scored all that there is before it stands", async () => {
  await object("ingest", "pictures");
  const counts = Number((await states())[0]!.split(" ").at(-1));
  const refused = await sluice("teacher", "promote", "b");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /^error E_TEACHER_CHANGE: .*found nothing on record\. Give test images \(--test <set>\)/m);
  assert.equal((await sluice("teacher", "rollback")).code, 1, "nothing stood before");

  await object("teacher", "shadow", "b", "--until-offset", "6");
  const compared = await object<{
    both: number;
    same: number;
    classes: { first: number; second: number; both: number }[];
  }>("teacher", "compare", "b");
  assert.equal(compared.both, 6);
  const sum = (of: "first" | "second" | "both"): number => compared.classes.reduce((all, one) => all + one[of], 0);
  assert.deepEqual([sum("first"), sum("second"), sum("both")], [6, 6, compared.same]);

  const { outcome } = await object<{ outcome: string }>("teacher", "promote", "b", "--force");
  assert.equal(outcome, "stands");
  const [now, before] = await states();
  assert.match(now!, new RegExp(` stands ${counts}$`));
  assert.match(before!, new RegExp(` former ${counts}$`));
  const again = await object<{ outcome: string }>("teacher", "promote", "b", "--force");
  assert.equal(again.outcome, "stands", "said again it changes nothing");

  // sluice.yaml still names the first one, and its own folder is gone: the store has the model.
  await rm(join(site.path, "b"), { recursive: true });
  await writePictures(join(site.path, "more"), { images: 20, duplicates: 0, broken: 0 });
  const more = await sluice("ingest", "more");
  assert.equal(more.code, 0, more.err);
  assert.match(more.err, /which this call names, was replaced by .* since: that one scores/);
  const grown = Number((await states())[0]!.split(" ").at(-1));
  assert.ok(grown > counts);

  const back = await sluice("teacher", "rollback");
  assert.equal(back.code, 0, back.err);
  assert.match(back.err, new RegExp(`first scores ${grown - counts} records that came since it stopped`));
  assert.match(back.out, /stands again\.$/m);
  const [standing, other] = await states();
  assert.match(standing!, new RegExp(` stands ${grown}$`));
  assert.match(other!, new RegExp(` former ${grown}$`));
  const quiet = await sluice("ingest");
  assert.doesNotMatch(quiet.err, /was replaced by/);
});

test("a promotion that is not finished is taken back at once, and is never what commands mean", async () => {
  const { announceTeacher, streamTeachers } = await import("../../pipelines/teachers/change-teacher.js");
  const { declarable } = await import("../../pipelines/teachers/bring-in.js");
  const { openStore } = await import("../../pipelines/open/workspace.js");
  const { configSchema } = await import("../../schemas/config.js");
  await writeSmallTeacher(join(site.path, "c"), "onnx", { seed: 3 });
  const config = configSchema.parse({ data: join(site.path, "sluice-data") });
  const store = await openStore(config);
  const next = await declarable({ config, store }, join(site.path, "c"), null);
  const { stands } = await streamTeachers(store, config.stream);
  await announceTeacher(store, config.stream, next, { by: "test", nowMs: 1 });
  const ingested = await sluice("ingest", "--json");
  assert.equal(ingested.code, 0, ingested.err);
  assert.deepEqual(await streamTeachers(store, config.stream).then((now) => [now.stands?.digest, now.next?.digest]), [
    stands!.digest,
    next.digest,
  ]);
  const back = await sluice("teacher", "rollback");
  assert.match(back.out, /stands, and .* is not to follow any more\.$/m);
  assert.equal((await streamTeachers(store, config.stream)).next, null);
  await store.close();
});
