import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TeacherFiles } from "../../../../connectors/engine/engine.js";
import { startPool } from "../../../../connectors/engine/pool/worker-pool.js";
import { nativeAbsence } from "../../../../connectors/native-tfjs.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import type { ModelCard } from "../../../../schemas/model-card.js";
import { writeSmallTeacher } from "../../../fixtures/models.js";

const SIDE = 8;
const IMAGE_BYTES = SIDE * SIDE;
/** poisoned-worker.ts aborts on it, with TensorFlow loaded and a model in its memory. */
const ABORT = 251;

for (const backend of ["node", "node-gpu"] as const) {
  for (const format of ["saved-model", "tfjs-layers"] as const satisfies ModelCard["format"][]) {
    describe(`${format} in processes on ${backend}`, { skip: nativeAbsence(backend) ?? false }, () => {
      let teacher: TeacherFiles;
      before(async () => {
        const folder = await mkdtemp(join(tmpdir(), "sluice-crash-"));
        teacher = await writeSmallTeacher(folder, format, { side: SIDE, colour: "grey" });
      });
      after(() => rm(teacher.folder, { recursive: true, force: true }));

      test("a native crash costs the batch at fault and one restart, nothing else", async () => {
        const setup = { kind: "tfjs", backend, threads: 1, ...teacher } as const;
        const program = new URL("./poisoned-worker.js", import.meta.url);
        const pool = await startPool(setup, { isolation: "process", workers: 2, program });
        const run = (...firstPixels: number[]) => {
          const pixels = new Uint8Array(firstPixels.length * IMAGE_BYTES).fill(90);
          firstPixels.forEach((value, at) => (pixels[at * IMAGE_BYTES] = value));
          return pool.run({ pixels, count: firstPixels.length, mostAtOnce: 16, padTo: 16 });
        };
        try {
          const expected = await run(1, 2, 3);
          const outcomes = await Promise.allSettled(
            Array.from({ length: 8 }, (_, at) => (at === 3 ? run(1, ABORT, 3) : run(1, 2, 3))),
          );
          outcomes.forEach((outcome, at) => {
            if (at !== 3) assert.deepEqual(outcome.status === "fulfilled" && outcome.value, expected);
          });
          const poisoned = outcomes[3]!;
          assert.ok(poisoned.status === "rejected" && isSluiceError(poisoned.reason, "E_ENGINE_CRASH"));
          assert.match((poisoned.reason as Error).message, /SIGABRT/);
          assert.deepEqual(await run(1, 2, 3), expected, "the workers that took its place score alike");
        } finally {
          await pool.close();
        }
      });
    });
  }
}
