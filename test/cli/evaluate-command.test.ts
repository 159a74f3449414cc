import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { evaluationSchema, type EvaluationRecord } from "../../schemas/model-record.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { squarePixels, writeSquare } from "../fixtures/square-pictures.js";
import { recordedTerminal } from "./recorded-terminal.js";

const IMAGES = 60;
let folder = "";

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = recordedTerminal({ folder });
  const code = await runProgram(args, terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

/** Two models, and pictures labelled as the second one sees them. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-evaluate-"));
  for (const [name, seed] of [
    ["a", 1],
    ["b", 2],
  ] as const) {
    await writeSmallTeacher(join(folder, name), "onnx", { seed });
  }
  await cp(join(folder, "b"), join(folder, "open"), { recursive: true });
  await rm(join(folder, "open", "model-card.json"));
  for (let at = 0; at < IMAGES; at++) await writeSquare(join(folder, "wild"), `p${at}.png`, 16, squarePixels(16, at));
  const { labels } = (await writeSmallTeacher(join(folder, "again"), "onnx", { seed: 2 })).card;
  await evaluateLabels(labels);
});
after(() => rm(folder, { recursive: true }));

async function evaluateLabels(labels: readonly string[]): Promise<void> {
  const { loadTeacher } = await import("../../connectors/engine/teacher/teacher-files.js");
  const { openEngine } = await import("../../connectors/engine/open.js");
  const { openSharpDecoder } = await import("../../connectors/decoder/libvips/libvips-decoder.js");
  const { openFolderSource } = await import("../../connectors/source/folder.js");
  const { openUri } = await import("../../connectors/source/open-uri.js");
  const { scoreExamples } = await import("../../pipelines/training/score-examples.js");
  const { configSchema } = await import("../../schemas/config.js");
  const config = configSchema.parse({});
  const teacher = await loadTeacher(join(folder, "b"));
  const engine = await openEngine(teacher, { ...config.engine, workers: 1 });
  const opener = openUri();
  const source = await openFolderSource(join(folder, "wild"));
  async function* examples() {
    for await (const { record } of source.items(null)) {
      yield { label: 0, uri: record.uri, bytes: () => opener.open(record.uri, 1e6) };
    }
  }
  const decoder = openSharpDecoder({ concurrency: 1 });
  for await (const scored of scoreExamples(examples(), {
    engine,
    card: teacher.card,
    decoder,
    decode: config.decode,
  })) {
    assert.ok("logits" in scored);
    const best = scored.logits.indexOf(Math.max(...scored.logits));
    const path = fileURLToPath(scored.example.uri);
    await mkdir(join(folder, "test", labels[best]!), { recursive: true });
    await rename(path, join(folder, "test", labels[best]!, basename(path)));
  }
  await engine.close();
}

test("a model that is right where its teacher is wrong passes the gate; the other way round it does not", async () => {
  const better = await sluice("evaluate", "b", "--test", "test", "--against", "a", "--class-drop", "100", "--json");
  assert.equal(better.code, 0, better.err + better.out);
  const record: EvaluationRecord = evaluationSchema.parse(JSON.parse(better.out));
  assert.equal(record.model.metrics.accuracy, 1);
  assert.equal(record.test.images, IMAGES);
  assert.equal(record.verdict!.passes, true);
  const { gained, lost, difference } = record.comparison!;
  assert.equal(lost, 0);
  assert.equal(difference, gained / IMAGES);
  assert.equal(Math.round(record.teacher!.metrics.accuracy * IMAGES), IMAGES - gained);
  const confusion = record.teacher!.metrics.confusion;
  assert.equal(
    confusion.reduce((sum, row, at) => sum + row[at]!, 0),
    IMAGES - gained,
  );

  const worse = await sluice("evaluate", "a", "--test", "test", "--against", "b");
  assert.equal(worse.code, 1);
  assert.match(
    worse.out,
    /^Gate not passed \(better with 95 % confidence, no class down by more than 5\.0 points\)\. It is right about .* fewer/m,
  );
  assert.match(worse.out, /^Paired: -\d+\.\d points \(95 % interval -/m);
});

test("without a teacher nothing is judged", async () => {
  const { code, out } = await sluice("evaluate", "a", "--test", "test");
  assert.equal(code, 0);
  assert.match(out, /^On 60 test images:$/m);
  assert.doesNotMatch(out, /Gate/);
});

test("an image that is trained on and tested with is refused, whatever it is called", async () => {
  await cp(join(folder, "test"), join(folder, "labelled"), { recursive: true });
  const { code, err } = await sluice("evaluate", "b", "--test", "test", "--labelled", "labelled");
  assert.equal(code, 1);
  assert.match(err, /^error E_TRAIN_OVERLAP: .*found 60 images that .*labelled has, too/m);
});
