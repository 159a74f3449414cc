import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { uniform } from "../fixtures/seeded-weights.js";
import { BACKENDS, type Isolation } from "../../connectors/engine/backends.js";
import type { Engine } from "../../connectors/engine/engine.js";
import { openEngine } from "../../connectors/engine/open.js";
import { engineSchema } from "../../schemas/config.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { smallNetEmbeddings, smallNetProbabilities, type SmallNet } from "../fixtures/small-net.js";

export interface EngineUnderTest {
  readonly format: ModelCard["format"];
  readonly backend: string;
  readonly isolation: Isolation;
}

const CLOSING_PROGRAM = fileURLToPath(new URL("./engine-closing.js", import.meta.url));
const SIDE = 16;
const IMAGE_BYTES = SIDE * SIDE * 3;
const BATCH = 8;

/** What every engine keeps. Where the backend is not on this machine, all of it is skipped with the reason. */
export function engineConformance(subject: EngineUnderTest): void {
  const { format, backend, isolation } = subject;
  const absence = BACKENDS.find((one) => one.name === backend && one.formats.includes(format))?.absence() ?? null;
  describe(`engine ${format} on ${backend}, ${isolation}`, { skip: absence ?? false }, () => {
    let folder: string;
    let engine: Engine;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "sluice-engine-"));
      engine = await openEngine(await writeSmallTeacher(folder, format), configOf(subject));
    });
    after(async () => {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    });

    test("gives the probabilities of the same net computed in double, and the same best class", async () => {
      const count = 24;
      const pixels = noise(7, count);
      const found = softmax(await engine.score({ count, pixels }), count);
      const expected = smallNetProbabilities({}, pixels, count);
      const width = expected.length / count;
      for (let at = 0; at < expected.length; at++) assert.ok(Math.abs(found[at]! - expected[at]!) < 1e-4);
      for (let row = 0; row < count; row++) {
        const range = [row * width, (row + 1) * width] as const;
        assert.equal(best(found.subarray(...range)), best(expected.subarray(...range)));
      }
    });

    test("gives the embedding that the card names behind each row's logits, and the same logits as without", async () => {
      const described = join(folder, "embedding");
      const teacher = await writeSmallTeacher(described, format, { embedding: true });
      const both = await openEngine(teacher, configOf(subject));
      try {
        const count = BATCH + 1;
        const pixels = noise(13, count);
        const found = await both.score({ count, pixels: pixels.slice() });
        const logits = await engine.score({ count, pixels: pixels.slice() });
        const classes = teacher.card.labels.length;
        const { size } = teacher.card.output.embedding!;
        assert.equal(found.length, count * (classes + size));
        smallNetEmbeddings({}, pixels, count).forEach((expected, row) => {
          const own = found.subarray(row * (classes + size), (row + 1) * (classes + size));
          for (let at = 0; at < classes; at++) assert.ok(Math.abs(own[at]! - logits[row * classes + at]!) < 1e-4);
          for (let at = 0; at < size; at++) assert.ok(Math.abs(own[classes + at]! - expected[at]!) < 1e-4);
        });
        const card = { ...teacher.card, output: { ...teacher.card.output, embedding: { name: "none", size } } };
        await assert.rejects(
          openEngine({ ...teacher, card }, configOf(subject)),
          (error) =>
            isSluiceError(error, "E_ENGINE_SHAPE") && /an output named none .* output\.embedding/.test(error.message),
        );
      } finally {
        await both.close();
      }
    });

    test("says which library, backend and device run", () => {
      assert.equal(engine.info.backend, backend);
      assert.match(engine.info.version, /^\d+\.\d+\.\d+/);
      assert.notEqual(engine.info.device, "");
      assert.ok(engine.parallelism >= 1);
    });

    test("gives an image the same bits in whatever batch it comes", async () => {
      const count = 20;
      const pixels = noise(11, count);
      const whole = bits(await engine.score({ count, pixels: pixels.slice() }));
      const width = whole.length / count;
      const parts = fc.array(fc.tuple(fc.nat(count - 1), fc.integer({ min: 1, max: 11 })), {
        minLength: 1,
        maxLength: 4,
      });
      await fc.assert(
        fc.asyncProperty(parts, async (ranges) => {
          const scores = await Promise.all(
            ranges.map(([from, length]) => {
              const end = Math.min(count, from + length);
              return engine.score({ count: end - from, pixels: pixels.slice(from * IMAGE_BYTES, end * IMAGE_BYTES) });
            }),
          );
          ranges.forEach(([from], at) => {
            const found = bits(scores[at]!);
            assert.deepEqual(found, whole.slice(from * width, from * width + found.length));
          });
        }),
        { seed: 5, numRuns: 15 },
      );
    });

    test("answers each of many calls with its own images, more calls than it has room for", async () => {
      const calls = engine.parallelism * 4;
      const batches = Array.from({ length: calls }, (_, at) => noise(100 + at, 1 + (at % BATCH)));
      const scores = await Promise.all(
        batches.map((pixels) => engine.score({ count: pixels.length / IMAGE_BYTES, pixels })),
      );
      batches.forEach((pixels, at) => {
        const count = pixels.length / IMAGE_BYTES;
        const expected = smallNetProbabilities({}, pixels, count);
        const found = softmax(scores[at]!, count);
        assert.equal(found.length, expected.length);
        for (let i = 0; i < expected.length; i++) assert.ok(Math.abs(found[i]! - expected[i]!) < 1e-4);
      });
    });

    test("leaves pixels as they were", async () => {
      const pixels = noise(3, BATCH);
      await engine.score({ count: BATCH, pixels });
      assert.deepEqual(pixels, noise(3, BATCH));
    });

    test("refuses pixels of another size than its input", async () => {
      const short = { count: 2, pixels: noise(1, 2).slice(1) };
      await assert.rejects(engine.score(short), (error) => isSluiceError(error, "E_ENGINE_SHAPE"));
      assert.equal((await engine.score({ count: 0, pixels: new Uint8Array(0) })).length, 0);
    });

    test("passes logits on as they are, NaN among them", async () => {
      await withEngine(subject, { nanClass: 3, output: "logits" }, async (engine) => {
        const pixels = noise(1, 2);
        const logits = await engine.score({ count: 2, pixels });
        const expected = smallNetProbabilities({}, pixels, 2);
        logits.forEach((logit, at) => {
          const first = at - (at % 10);
          if (at % 10 === 3) assert.ok(Number.isNaN(logit));
          // Differences of logits are those of log-probabilities, whatever the third class holds.
          else assert.ok(Math.abs(logit - logits[first]! - Math.log(expected[at]! / expected[first]!)) < 1e-4);
        });
      });
    });

    test("refuses a card with another number of labels, naming both", async () => {
      const teacher = await writeSmallTeacher(folder, format);
      const shorter = { ...teacher, card: { ...teacher.card, labels: teacher.card.labels.slice(1) } };
      await assert.rejects(
        openEngine(shorter, configOf(subject, 1)),
        (error) => isSluiceError(error, "E_TEACHER_LABELS") && /Expected 9 .* found 10/.test(error.message),
      );
    });

    test("refuses a card with another input, naming both", async () => {
      const teacher = await writeSmallTeacher(folder, format);
      const wider = { ...teacher, card: { ...teacher.card, input: { ...teacher.card.input, width: 20 } } };
      await assert.rejects(
        openEngine(wider, configOf(subject, 1)),
        (error) =>
          isSluiceError(error, "E_ENGINE_SHAPE") && error.message.includes("20") && error.message.includes("16"),
      );
    });

    test("once closed, finishes what runs, refuses what comes, and keeps no process alive", async () => {
      // A process that has only an engine ends by itself once the engine is closed.
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [CLOSING_PROGRAM, folder, JSON.stringify(configOf(subject))],
        { timeout: 120_000 },
      );
      assert.deepEqual(JSON.parse(stdout), { running: BATCH * 10, late: "E_CANCELLED" });
    });
  });
}

async function withEngine(
  subject: EngineUnderTest,
  net: Partial<SmallNet>,
  use: (engine: Engine) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const engine = await openEngine(await writeSmallTeacher(folder, subject.format, net), configOf(subject, 1));
    try {
      await use(engine);
    } finally {
      await engine.close();
    }
  });
}

export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-engine-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function configOf({ backend, isolation }: EngineUnderTest, workers = 2) {
  return engineSchema.parse({ backend, isolation, workers, batch: BATCH });
}

/** `count` images of noise that follow from the seed. */
export function noise(seed: number, count: number): Uint8Array {
  const next = uniform(seed);
  return Uint8Array.from({ length: count * IMAGE_BYTES }, () => next() * 256);
}

function softmax(logits: Float32Array, count: number): Float64Array {
  const width = logits.length / count;
  const out = new Float64Array(logits.length);
  for (let row = 0; row < count; row++) {
    const values = logits.subarray(row * width, (row + 1) * width);
    const total = values.reduce((sum, logit) => sum + Math.exp(logit), 0);
    values.forEach((logit, at) => {
      out[row * width + at] = Math.exp(logit) / total;
    });
  }
  return out;
}

function best(row: Float64Array): number {
  return row.indexOf(Math.max(...row));
}

function bits(scores: Float32Array): Uint32Array {
  return new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
}
