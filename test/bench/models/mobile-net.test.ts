import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeMobileNet } from "../../../bench/models/mobile-net.js";
import { uniform } from "../../../bench/models/seeded-weights.js";
import { openEngine } from "../../../connectors/engine/open.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { engineSchema } from "../../../schemas/config.js";
import { withFolder } from "../../conformance/engine.js";

test("the MobileNet made by code is a teacher that onnxruntime runs, tells images apart and follows from its seed", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "mobilenet.onnx");
    const { card } = await makeMobileNet(path, { seed: 1 });
    // 3.5 M float32 weights, as in the paper (3.4 M without biases)
    const { size } = await stat(path);
    assert.ok(size > 13.5e6 && size < 14.5e6, `${size} bytes`);
    assert.deepEqual((await loadTeacher(path)).card, card);

    const engine = await openEngine({ card, folder }, engineSchema.parse({ workers: 1, batch: 2 }));
    try {
      const next = uniform(4);
      const pixels = Uint8Array.from({ length: 2 * 224 * 224 * 3 }, (_, at) =>
        at < 224 * 224 * 3 ? next() * 256 : 200,
      );
      const logits = await engine.score({ count: 2, pixels });
      assert.equal(logits.length, 2000);
      const [first, second] = [logits.subarray(0, 1000), logits.subarray(1000)];
      for (const row of [first, second]) {
        assert.ok(row.every(Number.isFinite));
        const spread = Math.max(...row) - Math.min(...row);
        assert.ok(spread > 1 && spread < 100, `logits spread over ${spread}`);
      }
      assert.notDeepEqual(first, second);
    } finally {
      await engine.close();
    }

    const again = await makeMobileNet(join(folder, "again", "mobilenet.onnx"), { seed: 1 });
    assert.equal(again.card.weights.sha256, card.weights.sha256);
    const other = await makeMobileNet(join(folder, "other", "mobilenet.onnx"), { seed: 2 });
    assert.notEqual(other.card.weights.sha256, card.weights.sha256);
  });
});
